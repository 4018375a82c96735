//! `quorate-svm-linker OBJECT PROGRAM`: turns an object file of LLVM's BPF backend into a program that an SVM loads.
//!
//! The linker's own command line would want LLVM as a library; what it does after LLVM does not.

use std::{env, fs, process::ExitCode};

use sbpf_linker::{OptimizationConfig, ProgramOptions, SbpfArch, SbpfLinkerError, link_program};

/// Bytes of a frame, as `llc` was told.
const STACK_FRAME: i32 = 4096;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quorate-svm-linker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let [_, object, program] = &env::args().collect::<Vec<_>>()[..] else {
        return Err("say the object file and the program to write".into());
    };
    let bytes = fs::read(object).map_err(|error| format!("{object}: {error}"))?;
    let options = ProgramOptions::new(OptimizationConfig::disabled(), SbpfArch::V0, STACK_FRAME);
    let linked =
        link_program(&bytes, options).map_err(|errors| SbpfLinkerError::format_errors(&errors))?;
    fs::write(program, linked).map_err(|error| format!("{program}: {error}"))
}
