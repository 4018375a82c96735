//! How a network grows: 10 to 500 operators on a wide-area network whose set changes by a tenth
//! with every epoch.
#![allow(clippy::disallowed_methods, reason = "a bench measures real time")]
use std::time::Instant;

use quorate_sim::{Failure, Outcome, Sim};

/// Questions, one in a second: several epochs of 8 s.
const TASKS: usize = 30;

fn main() {
    println!(
        "50 to 150 ms and 1 % loss a hop, 20 to 80 ms a read; epochs of 8 s, a tenth of the operators changes with each;\n\
         {TASKS} tasks, one in a second; every message in a batch of its own. Per node and task, in and out are alike."
    );
    println!("\nThe author tells its 8 neighbours:");
    table(|sim| sim.gossip(8));
    println!("\nThe author tells everybody (flood_publish), and has 6 neighbours:");
    table(|sim| sim.flooding_gossip(6));
}

fn table(gossip: fn(Sim) -> Sim) {
    println!(
        "operators  certified  retried   median      p99  everywhere (p99)   messages  new  KiB   real time"
    );
    for operators in [10, 50, 100, 200, 500] {
        let begun = Instant::now();
        match gossip(story(operators)).run() {
            Ok(outcome) => row(operators, &outcome, begun),
            Err(failure) => return tell(&failure),
        }
    }
}

fn story(operators: usize) -> Sim {
    let change = operators / 10;
    Sim::new(1)
        .operators(operators + change)
        .churn(operators, change)
        .latency(50..=150)
        .loss(0.01)
        .reads(20..=80)
        .home_delay(500)
        .epochs(8, 3, 1_000)
        .requests(TASKS, 1)
}

#[allow(clippy::cast_precision_loss, reason = "for people")]
fn row(operators: usize, outcome: &Outcome, begun: Instant) {
    let traffic = outcome.all_traffic();
    let nodes = outcome.traffic.len();
    let each = |number: u64| number as f64 / (nodes * TASKS) as f64;
    println!(
        "{operators:>9} {:>10} {:>8} {:>5} ms {:>5} ms {:>14} ms {:>10.0} {:>4.0} {:>5.0} {:>9.1} s",
        outcome.certified(),
        outcome.retried(),
        outcome.within(0.5) / 1_000,
        outcome.within(0.99) / 1_000,
        outcome.spread_within(0.99) / 1_000,
        each(traffic.received),
        each(traffic.received - traffic.duplicates),
        each(traffic.received_bytes) / 1_024.0,
        begun.elapsed().as_secs_f64(),
    );
}

fn tell(failure: &Failure) {
    eprintln!("{failure}");
}
