//! The program; everything it does is in the library.

use std::process::ExitCode;

/// Small pieces of many sizes live for milliseconds on one thread and end on another: the system's
/// allocator takes longer for that and keeps more of it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    quorate_cli::main()
}
