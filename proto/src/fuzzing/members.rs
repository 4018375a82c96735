//! Operators, their sets and their lives, and what registries tell of them.

use super::gossip::check_binding;
use super::{KEYS, decode, read, stable};
use crate::fixtures::{challenge, domain};
use crate::store::{MembershipRecord, OperatorSetRecord};
use crate::{
    B256, Domain, JoinRequest, Member, OperatorSet, PeerBinding, Presence, Task, Transition,
    limits, wire,
};

/// Operator sets, as they are stored and as they are sent.
pub fn operator_set(bytes: &[u8]) {
    if let Some(list) = stable::<wire::OperatorList>(bytes) {
        check_list(&list);
    }
    if let Some(set) = decode::<OperatorSetRecord, OperatorSet>(bytes) {
        check_set(&set);
    }
}

pub(super) fn check_list(list: &wire::OperatorList) {
    if let Ok(set) = OperatorSet::try_from(list) {
        check_set(&set);
        let again = OperatorSet::try_from(&wire::OperatorList::from(&set));
        assert_eq!(again.as_ref(), Ok(&set), "decode(encode(x)) is x");
    }
}

fn check_set(set: &OperatorSet) {
    let members = set.members();
    assert!(
        members.windows(2).all(|w| w[0].address < w[1].address),
        "strictly ascending"
    );
    assert!(
        members.iter().all(|member| !member.weight.is_zero()),
        "nobody without weight"
    );
    assert!(!set.threshold().is_zero(), "something is needed");
    assert!(members.len() <= limits::MAX_OPERATORS);
    for (index, member) in members.iter().enumerate() {
        assert_eq!(set.position(member.address), Some(index));
    }
    let same = OperatorSet::new(
        set.epoch(),
        members.iter().rev().copied().collect(),
        set.total_weight(),
        set.fixed_at(),
    );
    assert_eq!(
        same.map(|same| same.hash()),
        Ok(set.hash()),
        "a hash of the set, not of its order"
    );
}

/// Operators that want to join.
pub fn join(bytes: &[u8]) {
    let Some(request) = decode::<wire::JoinRequest, JoinRequest>(bytes) else {
        return;
    };
    let addresses = &request.addresses;
    assert!(addresses.len() <= limits::MAX_ADDRESSES);
    assert!(
        addresses
            .iter()
            .all(|a| a.len() <= limits::MAX_ADDRESS_BYTES)
    );
    let [key, ..] = *KEYS;
    let verify = |challenge| request.verify(key, &domain(), challenge);
    if verify(challenge()).is_ok() {
        assert!(
            verify(B256::repeat_byte(0xa5)).is_err(),
            "answers its challenge"
        );
    }
}

/// Records and events of operators' lives.
pub fn membership(bytes: &[u8]) {
    decode::<MembershipRecord, Member>(bytes);
    if let Some(event) = stable::<wire::LifecycleEvent>(bytes) {
        check_event(&event);
    }
}

fn check_event(event: &wire::LifecycleEvent) {
    if let Ok(transition) = Transition::try_from(event) {
        let again = Transition::try_from(&transition.to_event(event.sequence));
        assert_eq!(again, Ok(transition), "decode(encode(x)) is x");
    }
}

/// What registries and operators say to each other; the first byte chooses the message.
pub fn registry(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else {
        return;
    };
    match choice % 18 {
        0 => states(stable::<wire::StateUpdate>(rest), |update| {
            update.event.iter().for_each(check_event);
            update.operator.iter().collect()
        }),
        1 => states(stable::<wire::SyncReply>(rest), |reply| {
            reply.operators.iter().collect()
        }),
        2 => drop(stable::<wire::SyncRequest>(rest)),
        3 => states(stable::<wire::JoinReply>(rest), |reply| {
            reply.operator.iter().collect()
        }),
        4 => drop(stable::<wire::Challenge>(rest)),
        5 => drop(stable::<wire::ChallengeRequest>(rest)),
        6 => events(stable::<wire::EventsReply>(rest)),
        7 => drop(stable::<wire::NetworkReply>(rest)),
        8 => states(stable::<wire::OperatorsReply>(rest), |reply| {
            reply.operators.iter().collect()
        }),
        9 => drop(stable::<wire::RegistryError>(rest)),
        10 => drop(decode::<wire::Task, Task>(rest)),
        11 => decode::<wire::PeerBinding, PeerBinding>(rest)
            .iter()
            .for_each(check_binding),
        12 => presence(stable::<wire::HealthRequest>(rest).and_then(|health| health.presence)),
        13 => presence(stable::<wire::HealthReply>(rest).and_then(|health| health.presence)),
        14 => presence(stable::<wire::Presence>(rest)),
        15 => drop(stable::<wire::SubscribeRequest>(rest)),
        16 => drop(stable::<wire::EventsRequest>(rest)),
        _ => drop(stable::<wire::OperatorsRequest>(rest)),
    }
}

/// The bindings in what is told of operators.
fn states<M>(message: Option<M>, of: impl Fn(&M) -> Vec<&wire::OperatorState>) {
    let states = message.iter().flat_map(of);
    let bindings = states.filter_map(|state| state.binding.as_ref());
    let bindings = bindings.filter_map(read::<wire::PeerBinding, PeerBinding>);
    bindings.for_each(|binding| check_binding(&binding));
}

fn events(reply: Option<wire::EventsReply>) {
    let events = reply.into_iter().flat_map(|reply| reply.events);
    events.for_each(|event| check_event(&event));
}

fn presence(message: Option<wire::Presence>) {
    let Some(presence) = message.as_ref().and_then(read::<wire::Presence, Presence>) else {
        return;
    };
    for key in *KEYS {
        if presence.verify(key, &domain()).is_ok() {
            let later = Presence {
                sequence: presence.sequence.wrapping_add(1),
                ..presence
            };
            assert!(later.verify(key, &domain()).is_err(), "signs its sequence");
            let another = Presence {
                instance: !presence.instance,
                ..presence
            };
            assert!(another.verify(key, &domain()).is_err(), "signs its process");
            let elsewhere = Domain::new(1, domain().registry());
            assert!(
                presence.verify(key, &elsewhere).is_err(),
                "signs for its network"
            );
        }
    }
}
