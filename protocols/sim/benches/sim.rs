//! How much the simulator does in a second, and how soon a certificate is there in its time.
#![allow(clippy::disallowed_methods, reason = "a bench measures real time")]

use std::time::Instant;

use quorate_sim::Sim;

fn main() {
    println!(
        "operators  tasks     events  events/s  tasks/s   median     p99   (1 to 5 ms a hop, 1 to 2 ms a read)"
    );
    for (operators, tasks) in [(4, 5_000), (19, 500), (100, 20)] {
        let sim = Sim::new(1).operators(operators).requests(tasks, 100);
        let begun = Instant::now();
        let outcome = match sim.run() {
            Ok(outcome) => outcome,
            Err(failure) => return eprintln!("{failure}"),
        };
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "{operators:>9} {tasks:>6} {:>10} {:>9.0} {:>8.0} {:>5} us {:>4} us",
            outcome.events,
            outcome.events as f64 / seconds,
            tasks as f64 / seconds,
            outcome.within(0.5),
            outcome.within(0.99),
        );
    }
}
