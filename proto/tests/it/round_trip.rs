//! Any value -> wire -> bytes -> value.

use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use quorate_proto::store::{MembershipRecord, OperatorSetRecord};
use quorate_proto::{
    Domain, Envelope, Epoch, Operator, OperatorSet, PeerSecret, Transition, U256, WireError, wire,
};

use crate::values;

/// Through the bytes of `W` and back.
fn through<W, T>(value: &T) -> Result<T, WireError>
where
    W: Message + Default + for<'a> From<&'a T>,
    T: for<'a> TryFrom<&'a W, Error = WireError>,
{
    let bytes = W::from(value).encode_to_vec();
    T::try_from(&W::decode(bytes.as_slice()).expect("a message"))
}

fn operator() -> impl Strategy<Value = Operator> {
    let weight = any::<u128>().prop_map(|weight| U256::from(weight >> 32));
    let parts = (values::address(), values::address(), weight);
    parts.prop_map(|(address, signing_key, weight)| Operator {
        address,
        signing_key,
        weight,
    })
}

proptest! {
    #[test]
    fn statement(value in values::statement()) {
        prop_assert_eq!(through::<wire::Statement, _>(&value), Ok(value));
    }

    #[test]
    fn response(value in values::response()) {
        prop_assert_eq!(through::<wire::Response, _>(&value), Ok(value));
    }

    #[test]
    fn certificate(value in values::certificate()) {
        prop_assert_eq!(through::<wire::Certificate, _>(&value), Ok(value));
    }

    #[test]
    fn evidence(value in values::evidence()) {
        prop_assert_eq!(through::<wire::EquivocationEvidence, _>(&value), Ok(value));
    }

    #[test]
    fn task(value in values::task()) {
        prop_assert_eq!(through::<wire::Task, _>(&value), Ok(value));
    }

    #[test]
    fn binding(value in values::binding()) {
        prop_assert_eq!(through::<wire::PeerBinding, _>(&value), Ok(value));
    }

    #[test]
    fn presence(value in values::presence()) {
        prop_assert_eq!(through::<wire::Presence, _>(&value), Ok(value));
    }

    #[test]
    fn operator_set(
        epoch: u32,
        members in vec(operator(), 0..8),
        total in values::u256(),
        fixed_at: u64,
    ) {
        if let Ok(set) = OperatorSet::new(Epoch(epoch), members, total, fixed_at) {
            prop_assert_eq!(through::<OperatorSetRecord, _>(&set), Ok(set.clone()));
            prop_assert_eq!(through::<wire::OperatorList, _>(&set), Ok(set));
        }
    }

    #[test]
    fn join_request(value in values::join_request()) {
        prop_assert_eq!(through::<wire::JoinRequest, _>(&value), Ok(value));
    }

    #[test]
    fn member(value in values::member()) {
        prop_assert_eq!(through::<MembershipRecord, _>(&value), Ok(value));
    }

    #[test]
    fn transition(value in values::transition(), sequence: u64) {
        let bytes = value.to_event(sequence).encode_to_vec();
        let event = wire::LifecycleEvent::decode(bytes.as_slice()).expect("a message");
        prop_assert_eq!(event.sequence, sequence);
        prop_assert_eq!(Transition::try_from(&event), Ok(value));
    }

    #[test]
    fn request(value in values::request()) {
        let bytes = value.encode_length_delimited_to_vec();
        prop_assert_eq!(wire::Request::decode_length_delimited(bytes.as_slice()), Ok(value));
    }

    #[test]
    fn reply(value in values::reply()) {
        let bytes = value.encode_length_delimited_to_vec();
        prop_assert_eq!(wire::Reply::decode_length_delimited(bytes.as_slice()), Ok(value));
    }

    #[test]
    fn envelope((kind, batch) in values::batch(), author in values::binding(), secret: [u8; 32]) {
        let peer = PeerSecret::from_bytes(&secret);
        let author = quorate_proto::PeerBinding { peer_key: peer.public(), ..author };
        let topic = Domain::new(1, author.operator).network().topic(kind);
        let sealed = Envelope::seal(&batch, &author, &topic, &peer);
        prop_assert_eq!(Envelope::open(&sealed, &topic, kind), Ok(Envelope { author, batch }));
    }
}
