//! Blocks by time.

use quorate_chain::{At, ChainError, Finality, StateReader};

use crate::support::double::{Behaviour, Double};
use crate::support::{Ledger, TestResult};

#[tokio::test]
async fn the_last_block_not_later_is_found() -> TestResult {
    let ledger = Ledger::start().await?;
    for pause in [1, 2, 50, 3_600, 86_400, 12] {
        ledger.anvil.increase_time(pause).await?;
        ledger.anvil.mine_every(20, 1 + pause % 7).await?;
    }
    let reader = ledger.reader(Finality::Confirmations(2)).await;
    let head = reader.final_head().ok_or("no head")?;
    let mut blocks = Vec::new();
    for number in 0..=head.number {
        blocks.push(reader.locate(At::Block(number)).await?);
    }
    let times = blocks
        .iter()
        .flat_map(|block| [block.timestamp - 1, block.timestamp, block.timestamp + 1]);
    for time in times.filter(|time| (blocks[0].timestamp..head.timestamp).contains(time)) {
        let expected = blocks.iter().rfind(|block| block.timestamp <= time);
        assert_eq!(
            Some(&reader.locate(At::Timestamp(time)).await?),
            expected,
            "time {time}"
        );
    }

    let first = blocks[0].timestamp;
    let early = reader.locate(At::Timestamp(first - 1)).await;
    assert_eq!(
        early,
        Err(ChainError::TimestampTooEarly {
            asked: first - 1,
            first
        })
    );
    Ok(())
}

#[tokio::test]
async fn a_time_is_certain_once_a_final_block_is_later() -> TestResult {
    let ledger = Ledger::start().await?;
    ledger.anvil.mine_every(5, 10).await?;
    let reader = ledger.reader(Finality::Confirmations(1)).await;
    let head = reader.final_head().ok_or("no head")?;

    for time in [head.timestamp, head.timestamp + 5, u64::MAX] {
        let refusal = ChainError::NotFinal {
            asked: At::Timestamp(time),
            final_block: Some(head.number),
        };
        assert_eq!(reader.locate(At::Timestamp(time)).await, Err(refusal));
    }
    ledger.anvil.mine_every(2, 10).await?;
    assert_eq!(reader.locate(At::Timestamp(head.timestamp)).await?, head);
    assert_eq!(
        reader.locate(At::Timestamp(head.timestamp + 5)).await?,
        head
    );
    Ok(())
}

#[tokio::test]
async fn searches_take_few_requests() -> TestResult {
    let ledger = Ledger::start().await?;
    ledger.anvil.mine_every(1_000, 12).await?;
    let double = Double::start(ledger.anvil.endpoint(), Behaviour::default()).await;
    let reader = ledger
        .reader_over(vec![double.url.clone()], Finality::Confirmations(0))
        .await;
    let head = reader.final_head().ok_or("no head")?;

    let before = double.bodies().len();
    let time = head.timestamp - 12 * 777 - 5;
    let found = reader.locate(At::Timestamp(time)).await?;
    let requests = double.bodies().len() - before;
    assert!(requests <= 14, "{requests} requests");
    let next = reader.locate(At::Block(found.number + 1)).await?;
    assert!(found.timestamp <= time && time < next.timestamp);
    Ok(())
}
