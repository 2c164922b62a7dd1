;; The arithmetic of the router's model over f32x4: everything that is done once for each weight or for each number of a
;; token. Addresses are in bytes, sizes in numbers; rows are contiguous and need no alignment, and no size need be a
;; multiple of 4. Every number is computed in one fixed order, whatever stands in the rows beside it, so results are the
;; same on every machine. Assembled into product.gen.ts by router/training/assemble.ts.
(module
  (memory (export "memory") 1)

  ;; Sum of four numbers.
  (func $sum (param $v v128) (result f32)
    (f32.add
      (f32.add (f32x4.extract_lane 0 (local.get $v)) (f32x4.extract_lane 1 (local.get $v)))
      (f32.add (f32x4.extract_lane 2 (local.get $v)) (f32x4.extract_lane 3 (local.get $v)))))

  ;; Σ x[i]·w[i] for i from `from` to `n`: what is left after the last four.
  (func $tail (param $x i32) (param $w i32) (param $from i32) (param $n i32) (result f32)
    (local $total f32) (local $at i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_s (local.get $from) (local.get $n)))
        (local.set $at (i32.shl (local.get $from) (i32.const 2)))
        (local.set $total
          (f32.add (local.get $total)
            (f32.mul
              (f32.load (i32.add (local.get $x) (local.get $at)))
              (f32.load (i32.add (local.get $w) (local.get $at))))))
        (local.set $from (i32.add (local.get $from) (i32.const 1)))
        (br $next)))
    (local.get $total))

  ;; Σ x[i]·w[i], in the same order as in the blocks of four rows below.
  (func $dot (param $x i32) (param $w i32) (param $n i32) (result f32)
    (local $a v128) (local $at i32) (local $end i32)
    (local.set $end (i32.shl (i32.and (local.get $n) (i32.const -4)) (i32.const 2)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $a
          (f32x4.add (local.get $a)
            (f32x4.mul
              (v128.load align=4 (i32.add (local.get $x) (local.get $at)))
              (v128.load align=4 (i32.add (local.get $w) (local.get $at))))))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next)))
    (f32.add
      (call $sum (local.get $a))
      (call $tail (local.get $x) (local.get $w) (i32.and (local.get $n) (i32.const -4)) (local.get $n))))

  ;; $y[at] += value
  (func $increase (param $at i32) (param $value f32)
    (f32.store (local.get $at) (f32.add (f32.load (local.get $at)) (local.get $value))))

  ;; y[r, o] += Σ x[r, i]·w[o, i], where rows of w are `step` numbers apart: y [rows, outputs], x [rows, inputs].
  (func (export "product")
    (param $y i32) (param $x i32) (param $w i32)
    (param $rows i32) (param $outputs i32) (param $inputs i32) (param $step i32)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128) (local $v v128)
    (local $x1 i32) (local $x2 i32) (local $x3 i32)
    (local $xRow i32) (local $yRow i32) (local $wRow i32)
    (local $o i32) (local $at i32) (local $end i32) (local $to i32) (local $row i32) (local $whole i32)
    (local.set $xRow (i32.shl (local.get $inputs) (i32.const 2)))
    (local.set $yRow (i32.shl (local.get $outputs) (i32.const 2)))
    (local.set $whole (i32.and (local.get $inputs) (i32.const -4)))
    (local.set $end (i32.shl (local.get $whole) (i32.const 2)))
    ;; Four rows at a time: each weight is loaded once for the four.
    (block $left
      (loop $rows4
        (br_if $left (i32.lt_s (local.get $rows) (i32.const 4)))
        (local.set $x1 (i32.add (local.get $x) (local.get $xRow)))
        (local.set $x2 (i32.add (local.get $x1) (local.get $xRow)))
        (local.set $x3 (i32.add (local.get $x2) (local.get $xRow)))
        (local.set $wRow (local.get $w))
        (local.set $to (local.get $y))
        (local.set $o (i32.const 0))
        (block $outputsDone
          (loop $output
            (br_if $outputsDone (i32.ge_s (local.get $o) (local.get $outputs)))
            (local.set $a (v128.const f32x4 0 0 0 0))
            (local.set $b (v128.const f32x4 0 0 0 0))
            (local.set $c (v128.const f32x4 0 0 0 0))
            (local.set $d (v128.const f32x4 0 0 0 0))
            (local.set $at (i32.const 0))
            (block $inputsDone
              (loop $input
                (br_if $inputsDone (i32.ge_u (local.get $at) (local.get $end)))
                (local.set $v (v128.load align=4 (i32.add (local.get $wRow) (local.get $at))))
                (local.set $a (f32x4.add (local.get $a)
                  (f32x4.mul (v128.load align=4 (i32.add (local.get $x) (local.get $at))) (local.get $v))))
                (local.set $b (f32x4.add (local.get $b)
                  (f32x4.mul (v128.load align=4 (i32.add (local.get $x1) (local.get $at))) (local.get $v))))
                (local.set $c (f32x4.add (local.get $c)
                  (f32x4.mul (v128.load align=4 (i32.add (local.get $x2) (local.get $at))) (local.get $v))))
                (local.set $d (f32x4.add (local.get $d)
                  (f32x4.mul (v128.load align=4 (i32.add (local.get $x3) (local.get $at))) (local.get $v))))
                (local.set $at (i32.add (local.get $at) (i32.const 16)))
                (br $input)))
            (local.set $row (local.get $to))
            (call $increase (local.get $row) (f32.add (call $sum (local.get $a))
              (call $tail (local.get $x) (local.get $wRow) (local.get $whole) (local.get $inputs))))
            (local.set $row (i32.add (local.get $row) (local.get $yRow)))
            (call $increase (local.get $row) (f32.add (call $sum (local.get $b))
              (call $tail (local.get $x1) (local.get $wRow) (local.get $whole) (local.get $inputs))))
            (local.set $row (i32.add (local.get $row) (local.get $yRow)))
            (call $increase (local.get $row) (f32.add (call $sum (local.get $c))
              (call $tail (local.get $x2) (local.get $wRow) (local.get $whole) (local.get $inputs))))
            (local.set $row (i32.add (local.get $row) (local.get $yRow)))
            (call $increase (local.get $row) (f32.add (call $sum (local.get $d))
              (call $tail (local.get $x3) (local.get $wRow) (local.get $whole) (local.get $inputs))))
            (local.set $wRow (i32.add (local.get $wRow) (i32.shl (local.get $step) (i32.const 2))))
            (local.set $to (i32.add (local.get $to) (i32.const 4)))
            (local.set $o (i32.add (local.get $o) (i32.const 1)))
            (br $output)))
        (local.set $x (i32.add (local.get $x3) (local.get $xRow)))
        (local.set $y (i32.add (local.get $y) (i32.shl (local.get $yRow) (i32.const 2))))
        (local.set $rows (i32.sub (local.get $rows) (i32.const 4)))
        (br $rows4)))
    ;; The last three or fewer.
    (block $done
      (loop $rows1
        (br_if $done (i32.le_s (local.get $rows) (i32.const 0)))
        (local.set $wRow (local.get $w))
        (local.set $to (local.get $y))
        (local.set $o (i32.const 0))
        (block $outputsDone
          (loop $output
            (br_if $outputsDone (i32.ge_s (local.get $o) (local.get $outputs)))
            (call $increase (local.get $to) (call $dot (local.get $x) (local.get $wRow) (local.get $inputs)))
            (local.set $wRow (i32.add (local.get $wRow) (i32.shl (local.get $step) (i32.const 2))))
            (local.set $to (i32.add (local.get $to) (i32.const 4)))
            (local.set $o (i32.add (local.get $o) (i32.const 1)))
            (br $output)))
        (local.set $x (i32.add (local.get $x) (local.get $xRow)))
        (local.set $y (i32.add (local.get $y) (local.get $yRow)))
        (local.set $rows (i32.sub (local.get $rows) (i32.const 1)))
        (br $rows1))))

  ;; y[r, i] += x[r, i] for n numbers a row; rows of y and x are `yStep` and `xStep` numbers apart, 0 for the same row.
  (func (export "add")
    (param $y i32) (param $yStep i32) (param $x i32) (param $xStep i32) (param $rows i32) (param $n i32)
    (local $at i32) (local $end i32) (local $whole i32)
    (local.set $end (i32.shl (local.get $n) (i32.const 2)))
    (local.set $whole (i32.and (local.get $end) (i32.const -16)))
    (block $done
      (loop $row
        (br_if $done (i32.le_s (local.get $rows) (i32.const 0)))
        (local.set $at (i32.const 0))
        (block $left
          (loop $four
            (br_if $left (i32.ge_u (local.get $at) (local.get $whole)))
            (v128.store align=4 (i32.add (local.get $y) (local.get $at))
              (f32x4.add
                (v128.load align=4 (i32.add (local.get $y) (local.get $at)))
                (v128.load align=4 (i32.add (local.get $x) (local.get $at)))))
            (local.set $at (i32.add (local.get $at) (i32.const 16)))
            (br $four)))
        (block $rowDone
          (loop $one
            (br_if $rowDone (i32.ge_u (local.get $at) (local.get $end)))
            (call $increase
              (i32.add (local.get $y) (local.get $at))
              (f32.load (i32.add (local.get $x) (local.get $at))))
            (local.set $at (i32.add (local.get $at) (i32.const 4)))
            (br $one)))
        (local.set $y (i32.add (local.get $y) (i32.shl (local.get $yStep) (i32.const 2))))
        (local.set $x (i32.add (local.get $x) (i32.shl (local.get $xStep) (i32.const 2))))
        (local.set $rows (i32.sub (local.get $rows) (i32.const 1)))
        (br $row))))

  ;; y[r] = x[r] / √(mean of x[r]² + 2⁻²³), rows of n numbers; the constant is the tensor layer's.
  (func (export "normalize") (param $y i32) (param $x i32) (param $rows i32) (param $n i32)
    (local $at i32) (local $end i32) (local $whole i32) (local $scale f32)
    (local.set $end (i32.shl (local.get $n) (i32.const 2)))
    (local.set $whole (i32.and (local.get $end) (i32.const -16)))
    (block $done
      (loop $row
        (br_if $done (i32.le_s (local.get $rows) (i32.const 0)))
        (local.set $scale
          (f32.div (f32.const 1)
            (f32.sqrt
              (f32.add
                (f32.div (call $dot (local.get $x) (local.get $x) (local.get $n)) (f32.convert_i32_s (local.get $n)))
                (f32.const 0x1p-23)))))
        (local.set $at (i32.const 0))
        (block $left
          (loop $four
            (br_if $left (i32.ge_u (local.get $at) (local.get $whole)))
            (v128.store align=4 (i32.add (local.get $y) (local.get $at))
              (f32x4.mul
                (v128.load align=4 (i32.add (local.get $x) (local.get $at)))
                (f32x4.splat (local.get $scale))))
            (local.set $at (i32.add (local.get $at) (i32.const 16)))
            (br $four)))
        (block $rowDone
          (loop $one
            (br_if $rowDone (i32.ge_u (local.get $at) (local.get $end)))
            (f32.store (i32.add (local.get $y) (local.get $at))
              (f32.mul (f32.load (i32.add (local.get $x) (local.get $at))) (local.get $scale)))
            (local.set $at (i32.add (local.get $at) (i32.const 4)))
            (br $one)))
        (local.set $y (i32.add (local.get $y) (local.get $end)))
        (local.set $x (i32.add (local.get $x) (local.get $end)))
        (local.set $rows (i32.sub (local.get $rows) (i32.const 1)))
        (br $row))))

  ;; One step of Horner's rule: p·r + c.
  (func $horner (param $p v128) (param $r v128) (param $c f32) (result v128)
    (f32x4.add (f32x4.mul (local.get $p) (local.get $r)) (f32x4.splat (local.get $c))))

  ;; silu(a) = a / (1 + e^−a). e^z = 2^k·e^r with k the whole number nearest to z/ln 2; |r| < 0.35, where the seventh
  ;; power is the last of e^r's series that single precision sees. ln 2 is split so that k·ln 2 is exact in its first part.
  (func $silu (param $a v128) (result v128)
    (local $z v128) (local $k v128) (local $r v128) (local $p v128)
    (local.set $z
      (f32x4.max (f32x4.min (f32x4.neg (local.get $a)) (f32x4.splat (f32.const 88))) (f32x4.splat (f32.const -87))))
    (local.set $k (f32x4.nearest (f32x4.mul (local.get $z) (f32x4.splat (f32.const 1.44269504)))))
    (local.set $r (f32x4.sub (local.get $z) (f32x4.mul (local.get $k) (f32x4.splat (f32.const 0.693359375)))))
    (local.set $r (f32x4.add (local.get $r) (f32x4.mul (local.get $k) (f32x4.splat (f32.const 2.12194440e-4)))))
    (local.set $p (f32x4.splat (f32.const 1.98412698e-4)))
    (local.set $p (call $horner (local.get $p) (local.get $r) (f32.const 1.38888889e-3)))
    (local.set $p (call $horner (local.get $p) (local.get $r) (f32.const 8.33333333e-3)))
    (local.set $p (call $horner (local.get $p) (local.get $r) (f32.const 4.16666667e-2)))
    (local.set $p (call $horner (local.get $p) (local.get $r) (f32.const 1.66666667e-1)))
    (local.set $p (call $horner (local.get $p) (local.get $r) (f32.const 0.5)))
    (local.set $p (call $horner (local.get $p) (local.get $r) (f32.const 1)))
    (local.set $p (call $horner (local.get $p) (local.get $r) (f32.const 1)))
    (f32x4.div (local.get $a)
      (f32x4.add (f32x4.splat (f32.const 1))
        (f32x4.mul (local.get $p)
          (i32x4.shl
            (i32x4.add (i32x4.trunc_sat_f32x4_s (local.get $k)) (i32x4.splat (i32.const 127)))
            (i32.const 23))))))

  ;; y[r, i] += silu(x[r, i])·x[r, n + i]: y [rows, n], x [rows, 2n].
  (func (export "gate") (param $y i32) (param $x i32) (param $rows i32) (param $n i32)
    (local $at i32) (local $end i32) (local $whole i32) (local $half i32) (local $to i32)
    (local.set $end (i32.shl (local.get $n) (i32.const 2)))
    (local.set $whole (i32.and (local.get $end) (i32.const -16)))
    (block $done
      (loop $row
        (br_if $done (i32.le_s (local.get $rows) (i32.const 0)))
        (local.set $half (i32.add (local.get $x) (local.get $end)))
        (local.set $at (i32.const 0))
        (block $left
          (loop $four
            (br_if $left (i32.ge_u (local.get $at) (local.get $whole)))
            (v128.store align=4 (i32.add (local.get $y) (local.get $at))
              (f32x4.add
                (v128.load align=4 (i32.add (local.get $y) (local.get $at)))
                (f32x4.mul
                  (call $silu (v128.load align=4 (i32.add (local.get $x) (local.get $at))))
                  (v128.load align=4 (i32.add (local.get $half) (local.get $at))))))
            (local.set $at (i32.add (local.get $at) (i32.const 16)))
            (br $four)))
        (block $rowDone
          (loop $one
            (br_if $rowDone (i32.ge_u (local.get $at) (local.get $end)))
            (local.set $to (i32.add (local.get $y) (local.get $at)))
            (call $increase (local.get $to)
              (f32.mul
                (f32x4.extract_lane 0 (call $silu (v128.load32_zero (i32.add (local.get $x) (local.get $at)))))
                (f32.load (i32.add (local.get $half) (local.get $at)))))
            (local.set $at (i32.add (local.get $at) (i32.const 4)))
            (br $one)))
        (local.set $y (i32.add (local.get $y) (local.get $end)))
        (local.set $x (i32.add (local.get $half) (local.get $end)))
        (local.set $rows (i32.sub (local.get $rows) (i32.const 1)))
        (br $row))))

  ;; y[r, i] = (q[r, i] − 128)·scales[r]: weights as they are stored, one byte each, as numbers.
  (func (export "dequantize") (param $y i32) (param $q i32) (param $scales i32) (param $rows i32) (param $columns i32)
    (local $end i32) (local $whole i32) (local $scale f32)
    (block $done
      (loop $row
        (br_if $done (i32.le_s (local.get $rows) (i32.const 0)))
        (local.set $scale (f32.load (local.get $scales)))
        (local.set $end (i32.add (local.get $q) (local.get $columns)))
        (local.set $whole (i32.add (local.get $q) (i32.and (local.get $columns) (i32.const -4))))
        (block $left
          (loop $four
            (br_if $left (i32.ge_u (local.get $q) (local.get $whole)))
            (v128.store align=4 (local.get $y)
              (f32x4.mul
                (f32x4.convert_i32x4_s
                  (i32x4.sub
                    (i32x4.extend_low_i16x8_u (i16x8.extend_low_i8x16_u (v128.load32_zero align=1 (local.get $q))))
                    (i32x4.splat (i32.const 128))))
                (f32x4.splat (local.get $scale))))
            (local.set $q (i32.add (local.get $q) (i32.const 4)))
            (local.set $y (i32.add (local.get $y) (i32.const 16)))
            (br $four)))
        (block $rowDone
          (loop $one
            (br_if $rowDone (i32.ge_u (local.get $q) (local.get $end)))
            (f32.store (local.get $y)
              (f32.mul
                (f32.convert_i32_s (i32.sub (i32.load8_u (local.get $q)) (i32.const 128)))
                (local.get $scale)))
            (local.set $q (i32.add (local.get $q) (i32.const 1)))
            (local.set $y (i32.add (local.get $y) (i32.const 4)))
            (br $one)))
        (local.set $scales (i32.add (local.get $scales) (i32.const 4)))
        (local.set $rows (i32.sub (local.get $rows) (i32.const 1)))
        (br $row)))))
