//! Causeway against what a DBA would otherwise use, on the same machine in the same minutes:
//!
//! ```text
//! cargo bench --bench peers -- [catch-up] [delay] [copy] [far] [decode] [growth] [--thousands N] [--rounds N] [--only NAME]
//! ```
//!
//! Without a part, all of them. Servers are started from an installation with sysbench and mydumper in it, which is
//! fetched if it is not there. What was measured is printed, and written to `target/peers.md` and `target/peers.json`.
//! Nothing here passes or fails: figures of one machine say something only beside those of its peers.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod catch_up;
mod copy;
mod decode;
mod delay;
mod far;
mod growth;
mod process;
mod report;
mod site;
mod workload;

use clap::{Parser, ValueEnum};

/// What is measured, and how much of it.
#[derive(Debug, Parser)]
struct Arguments {
    /// Parts; all if none is named.
    parts: Vec<Part>,
    /// Row changes of a backlog, and rows of a table that is copied, in thousands.
    #[arg(long, default_value_t = 200)]
    thousands: u64,
    /// Times that everything is measured; medians are shown.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only workloads whose name has this in it.
    #[arg(long, default_value = "")]
    only: String,
    /// More options of the task that catches up or copies, such as `workers = 2`.
    #[arg(long, default_value = "")]
    with: String,
    /// What cargo says to a bench.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    CatchUp,
    Delay,
    Copy,
    Far,
    Decode,
    Growth,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let arguments = Arguments::parse();
    let asked = |part| arguments.parts.is_empty() || arguments.parts.contains(&part);
    let mut report = report::Report::new();
    if asked(Part::CatchUp) {
        catch_up::run(&arguments, &mut report).await;
    }
    if asked(Part::Delay) {
        delay::run(&arguments, &mut report).await;
    }
    if asked(Part::Copy) {
        copy::run(&arguments, &mut report).await;
    }
    if asked(Part::Far) {
        far::run(&arguments, &mut report).await;
    }
    if asked(Part::Decode) {
        decode::run(&arguments, &mut report).await;
    }
    if asked(Part::Growth) {
        growth::run(&arguments, &mut report).await;
    }
    report.write();
}
