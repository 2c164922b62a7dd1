// The table of the CUDA build's ops.
#include "../impl.h"

namespace rs::RS_BACKEND {

const Ops ops = {
#define RS_OP_ENTRY(name) &name,
    RS_OPS(RS_OP_ENTRY)
#undef RS_OP_ENTRY
};

}  // namespace rs::RS_BACKEND
