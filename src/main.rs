//! The program: parses nothing and decides nothing, `cli` does.

use std::process::ExitCode;

/// Returns memory that is free, and keeps threads out of each other's way, better than the allocators of the C
/// libraries do. Only where a page has the same size on every machine: jemalloc is built for one.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What jemalloc reads at its start (jemalloc(3), TUNING): the same few arenas on large machines as on small ones,
/// and what was freed goes back to the system within a second or two; sooner, and pages would be given back that the
/// next page of records asks for again.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static MALLOC_CONF: &[u8; 47] = b"narenas:4,dirty_decay_ms:1000,muzzy_decay_ms:0\0";

fn main() -> ExitCode {
    syncline::cli::main()
}
