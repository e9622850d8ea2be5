//! The command line: words in, words out. What they do lies in the library.
/// Prints a line, as `println!` does, except that a reader who has seen enough (`hpo schema | head`) ends the program
/// instead of making it panic.
macro_rules! say {
    ($($words:tt)*) => { $crate::cli::print(&format!("{}\n", format_args!($($words)*))) };
}

/// Words for people on standard error. Whoever closed it wants none, and the work goes on.
macro_rules! mention {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($words)*);
    }};
}

mod args;
mod bench;
#[cfg(feature = "burn")]
mod builtin;
mod drive;
mod exit;
mod files;
mod log;
mod model;
mod progress;
mod runs;
mod signals;
mod simulate;
mod slurm;
mod standby;
mod why;
mod work;

use std::io::Write;
use std::process::ExitCode;

use args::{Command, Hpo, Manners};
use clap::Parser;
use exit::{Exit, Failure, Outcome};

/// Reads the arguments, does as told, and says how it went in words and in the exit code.
pub(crate) fn main() -> ExitCode {
    let hpo = Hpo::parse();
    log::begin(&hpo.command, hpo.manners);
    match act(hpo.command, hpo.manners) {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(Failure { exit, why }) => {
            complain(&why, hpo.manners);
            ExitCode::from(exit as u8)
        }
    }
}

fn act(command: Command, manners: Manners) -> Outcome {
    match command {
        Command::Run(args) => drive::run(&args, manners),
        Command::Resume(args) => drive::resume(&args, manners),
        Command::Driver(args) => drive::driver(&args, manners),
        Command::Worker(args) => work::worker(args),
        Command::Trainer(args) => work::trainer(&args),
        Command::Status(args) => runs::status(&args, manners),
        Command::Why(args) => why::why(&args, manners),
        Command::Report(args) => runs::report(&args, manners),
        Command::Verify(args) => runs::verify(&args, manners),
        Command::Export(args) => model::export(&args, manners),
        Command::Predict(args) => model::predict(&args, manners),
        Command::Slurm(command) => slurm::slurm(&command, manners),
        Command::Simulate(args) => simulate::simulate(&args, manners),
        Command::Check(args) => files::check(&args, manners),
        Command::Space(args) => files::space(&args, manners),
        Command::Init(args) => files::init(&args, manners),
        Command::Schema => files::schema(manners),
        Command::Bench(bench) => bench::run(&bench, manners),
    }
}

/// Prints to standard output.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    if let Err(fault) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        if fault.kind() == std::io::ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        mention!("error: cannot write to standard output: {fault}");
        // Whoever wanted these words does not have them.
        std::process::exit(Exit::NoResult as i32);
    }
}

/// The error and what it came from, one a line. A sweep file's faults are a text of their own.
fn complain(why: &anyhow::Error, manners: Manners) {
    if let Some(faults) = why.downcast_ref::<hpo_driver::config::Faults>() {
        if manners.json {
            say!("{}", faults.to_json());
        }
        mention!("{}", faults.render_for_stderr());
        return;
    }
    mention!("error: {why}");
    let mut last = why.to_string();
    for cause in why.chain().skip(1) {
        let text = cause.to_string();
        // Some libraries repeat their source's words in their own.
        if !last.contains(&text) {
            mention!("  because {text}");
        }
        last = text;
    }
}
