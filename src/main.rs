//! The `madang` program; everything it does is in the library.

/// Idle connections cost less memory than with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    madang::cli::run()
}
