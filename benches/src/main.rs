//! The `madang-bench` program; everything it does is in the library.

fn main() -> std::process::ExitCode {
    madang_bench::cli::run()
}
