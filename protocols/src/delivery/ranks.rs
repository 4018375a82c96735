//! Who of several relayers begins, so that they do not all pay for one delivery.

use quorate_proto::{Address, Epoch, keccak256};

use super::record::DeliveryId;

/// Relayers that have a stage of their own. Two that are down in a row cost two stages, and then everybody may.
pub const STAGES: usize = 3;

/// Milliseconds of a stage: a transaction is mined within three blocks of 12 s, and seen.
pub const STAGE_MS: u64 = 60_000;

/// How long a relayer waits before it makes a delivery, in milliseconds.
///
/// The delivery and its epoch decide about the order of those in the route's configured list: the first begins at once,
/// the second and the third a stage later each. All others begin in the last stage, spread over it, so that most of them
/// find it done. Who is not in the list, which is any relayer that likes, is never earlier than that.
#[must_use]
pub fn stage_delay(
    id: DeliveryId,
    epoch: Epoch,
    relayers: &[Address],
    own: Address,
    stage_ms: u64,
) -> u64 {
    let ticket = ticket(id, epoch, own);
    let stages = relayers.len().min(STAGES);
    let rank = relayers.contains(&own).then(|| {
        let mut before: Vec<Address> = relayers.to_vec();
        before.sort_unstable();
        before.dedup();
        before.retain(|other| self::ticket(id, epoch, *other) < ticket);
        before.len()
    });
    let stage = rank.unwrap_or(STAGES).min(stages);
    let delay = stage_ms.saturating_mul(u64::try_from(stage).unwrap_or(u64::MAX));
    if rank.is_some_and(|rank| rank < STAGES) {
        return delay;
    }
    delay.saturating_add(spread(ticket, stage_ms))
}

/// No relayer can have a low one more often than others: the id is a hash of what operators have certified.
fn ticket(id: DeliveryId, epoch: Epoch, relayer: Address) -> [u8; 32] {
    let mut text = [0; 56];
    text[..32].copy_from_slice(id.0.as_slice());
    text[32..36].copy_from_slice(&epoch.0.to_be_bytes());
    text[36..].copy_from_slice(relayer.as_slice());
    keccak256(text).0
}

/// Evenly over a stage.
fn spread(ticket: [u8; 32], stage_ms: u64) -> u64 {
    let [.., a, b, c, d] = ticket;
    let share = u64::from(u32::from_be_bytes([a, b, c, d]));
    (stage_ms.saturating_mul(share)) >> 32
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    reason = "tests panic on overflow, as they should"
)]
mod tests {
    use quorate_proto::B256;

    use super::*;

    const LIST: [Address; 5] = [
        Address::repeat_byte(1),
        Address::repeat_byte(2),
        Address::repeat_byte(3),
        Address::repeat_byte(4),
        Address::repeat_byte(5),
    ];

    fn id(number: u64) -> DeliveryId {
        DeliveryId(keccak256(number.to_be_bytes()))
    }

    fn delay(number: u64, list: &[Address], own: Address) -> u64 {
        stage_delay(id(number), Epoch(7), list, own, 1_000)
    }

    #[test]
    fn each_stage_has_one_relayer_and_the_shares_are_even() {
        let mut shares = [[0_u32; 4]; 5];
        for number in 0..5_000 {
            let stages = LIST.map(|own| delay(number, &LIST, own) / 1_000);
            let mut sorted = stages;
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 3], "delivery {number}");
            for (share, stage) in shares.iter_mut().zip(stages) {
                share[usize::try_from(stage).unwrap()] += 1;
            }
        }
        // 1,000 of each are expected, with a standard deviation of 28: five of them.
        for share in shares {
            assert!(
                share[..3].iter().all(|n| n.abs_diff(1_000) < 140),
                "{share:?}"
            );
            assert!(share[3].abs_diff(2_000) < 170, "{share:?}");
        }
    }

    #[test]
    fn who_is_not_in_the_list_comes_in_the_last_stage_only() {
        let strangers = (0..2_000_u64).map(|n| Address::from_word(keccak256(n.to_le_bytes())));
        for stranger in strangers {
            let delay = delay(1, &LIST, stranger);
            assert!((3_000..4_000).contains(&delay), "{delay}");
        }
    }

    #[test]
    fn others_are_spread_over_the_last_stage() {
        let quarter = |n: u64| {
            delay(
                1,
                &LIST,
                Address::from_word(B256::from(keccak256([n as u8, (n >> 8) as u8]))),
            ) / 250
        };
        let mut quarters = [0_u32; 16];
        for n in 0..4_000 {
            quarters[usize::try_from(quarter(n)).unwrap()] += 1;
        }
        assert!(
            quarters[12..].iter().all(|n| n.abs_diff(1_000) < 150),
            "{quarters:?}"
        );
    }

    #[test]
    fn short_lists_have_fewer_stages() {
        for (list, expected) in [(0, 0), (1, 1), (2, 2), (3, 3), (4, 3)] {
            let stranger = Address::repeat_byte(9);
            let stage = delay(3, &LIST[..list], stranger) / 1_000;
            assert_eq!(stage, expected, "{list} relayers");
        }
        assert_eq!(delay(3, &LIST[..1], LIST[0]), 0);
    }

    #[test]
    fn a_list_in_another_order_or_with_repetitions_is_the_same_list() {
        let mixed = [LIST[4], LIST[0], LIST[2], LIST[0], LIST[3], LIST[1]];
        for number in 0..100 {
            for own in LIST {
                assert_eq!(delay(number, &mixed, own), delay(number, &LIST, own));
            }
        }
    }

    #[test]
    fn the_epoch_changes_the_order() {
        let first = |epoch| {
            let wait = |own: &Address| stage_delay(id(1), Epoch(epoch), &LIST, *own, 1_000);
            LIST.into_iter().min_by_key(wait)
        };
        assert!((0..20).any(|epoch| first(epoch) != first(20)));
    }
}
