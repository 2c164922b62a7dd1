#!/usr/bin/env bash
# cached_compile.sh FOLDER COMPILER ARGUMENTS: compiles, unless the same was compiled before. CMake puts it before nvcc
# where RS_OBJECT_CACHE names a folder. The key is the source, all headers of this folder, the arguments and the
# compiler; objects that were not used for two weeks are removed.
set -euo pipefail
cache=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
object= source= depfile= compiling= key=()
for ((i = 1; i <= $#; i++)); do
  case "${!i}" in
    -c) compiling=1; next=$((i + 1)); source=${!next} ;;
    -o) next=$((i + 1)); object=${!next}; i=$next; continue ;;
    -MF) next=$((i + 1)); depfile=${!next}; i=$next; continue ;;
    -MT) i=$((i + 1)); continue ;;
  esac
  key+=("${!i//$here/.}")
done
if [ -z "$compiling" ] || [ -z "$object" ]; then exec "$@"; fi
if [ "${source:0:2}" = -x ] || [ ! -f "$source" ]; then for word in "$@"; do [[ $word == *.cu || $word == *.cpp ]] && source=$word; done; fi
hash_of() {
  {
    printf '%s\n' "${key[@]}"
    "$1" --version
    cat "$source"
    find "$here" -name '*.h' -print0 | LC_ALL=C sort -z | xargs -0 cat
  } | sha256sum | cut -c1-32
}
hash=$(hash_of "$1")
mkdir -p "$cache"
if [ -s "$cache/$hash.o" ] && cp "$cache/$hash.o" "$object"; then
  touch -c "$cache/$hash.o"
  if [ -n "$depfile" ]; then
    # All headers, for all are in the key.
    { printf '%s: %s' "$object" "$source" && find "$here" -name '*.h' -printf ' %p' && echo; } >"$depfile"
  fi
  exit 0
fi
"$@"
# Not what was edited meanwhile: it would come back, for good, when the edit is taken back.
[ "$(hash_of "$1")" != "$hash" ] || { cp "$object" "$cache/$hash.o.$$" && mv "$cache/$hash.o.$$" "$cache/$hash.o"; }
find "$cache" -name '*.o*' -mtime +14 -delete 2>/dev/null || true # what another compile removes at the same time
