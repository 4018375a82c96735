//! Any value of a type, for proptest.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use quorate_proto::wire::{reply, request, state_request, timeline_event};
use quorate_proto::{
    Address, Attestation, Batch, Binding, BridgePause, Certificate, Epoch, EpochUpdate,
    EquivocationEvidence, JoinProof, JoinRequest, LifecycleCause, LogPosition, Member,
    OperatorStatus, Outcome, PeerBinding, Presence, ReadBasis, Refusal, RefusalCode,
    RegistrationChange, Response, Route, Signature, SignedAttestation, SignerSignature, SlotId,
    StateProof, Statement, Subject, Task, Timestamp, Transfer, TransferClosed, Transition, U256,
    keccak256, limits, wire,
};

pub(crate) fn address() -> impl Strategy<Value = Address> {
    any::<[u8; 20]>().prop_map(Address::from)
}

pub(crate) fn u256() -> impl Strategy<Value = U256> {
    any::<[u8; 32]>().prop_map(U256::from_be_bytes)
}

pub(crate) fn statement() -> impl Strategy<Value = Statement> {
    prop_oneof![
        state_proof().prop_map(Statement::StateProof),
        epoch_update().prop_map(Statement::EpochUpdate),
        transfer().prop_map(Statement::Transfer),
        (route(), numbers()).prop_map(|(route, [epoch, nonce, time])| {
            let epoch = epoch_of(epoch);
            TransferClosed {
                epoch,
                route,
                nonce,
                time,
            }
            .into()
        }),
        (numbers(), any::<[u8; 32]>(), any::<(u64, bool)>()).prop_map(pause_of),
    ]
}

/// Three numbers that are not zero.
fn numbers() -> impl Strategy<Value = [u64; 3]> {
    prop::array::uniform3(1..=u64::MAX)
}

fn epoch_of(number: u64) -> Epoch {
    Epoch((number >> 32) as u32)
}

fn pause_of(
    ([epoch, sequence, time], contract, (chain_id, paused)): ([u64; 3], [u8; 32], (u64, bool)),
) -> Statement {
    BridgePause {
        epoch: epoch_of(epoch),
        chain_id,
        contract: contract.into(),
        sequence,
        paused,
        time,
    }
    .into()
}

fn route() -> impl Strategy<Value = Route> {
    let parts = (any::<(u64, u64)>(), any::<[[u8; 32]; 2]>());
    parts.prop_map(|((source_chain, target_chain), [source, target])| Route {
        source_chain,
        source_contract: source.into(),
        target_chain,
        target_contract: target.into(),
    })
}

fn transfer() -> impl Strategy<Value = Transfer> {
    let words = (
        any::<[[u8; 32]; 2]>(),
        vec(any::<u8>(), 1..=limits::MAX_RECEIVER),
    );
    (route(), numbers(), words, u256()).prop_map(|(route, numbers, words, amount)| {
        let ([epoch, nonce, deadline], ([sender, token], receiver)) = (numbers, words);
        Transfer {
            epoch: epoch_of(epoch),
            route,
            nonce,
            sender: sender.into(),
            receiver: receiver.into(),
            token: token.into(),
            amount: amount | U256::from(1),
            deadline,
        }
    })
}

fn epoch_update() -> impl Strategy<Value = EpochUpdate> {
    let parts = (1..=u32::MAX, any::<u32>(), any::<[u8; 32]>(), any::<u64>());
    parts.prop_map(|(next, rest, hash, time)| EpochUpdate {
        epoch: Epoch(rest % next),
        next_epoch: Epoch(next),
        set_hash: hash.into(),
        time,
    })
}

fn state_proof() -> impl Strategy<Value = StateProof> {
    let numbers = (any::<u32>(), any::<u64>(), 0_u64..1 << 48, any::<u32>());
    (address(), numbers, u256(), u256()).prop_map(|(user, numbers, key, value)| {
        let (chain_id, block_number, timestamp, epoch) = numbers;
        StateProof {
            user,
            chain_id,
            block_number,
            timestamp,
            epoch: Epoch(epoch),
            key,
            value,
        }
    })
}

/// Anything in the form of a signature.
pub(crate) fn signature() -> impl Strategy<Value = Signature> {
    (any::<[u8; 64]>(), 27_u8..=28).prop_map(|(mut rs, v)| {
        rs[32] &= 0x3f;
        Signature::parse(&[&rs[..], &[v]].concat()).expect("65 bytes, low s, v 27 or 28")
    })
}

pub(crate) fn refusal_code() -> impl Strategy<Value = RefusalCode> {
    (1..=10).prop_map(|code| RefusalCode::try_from(code).expect("a code"))
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let refusal = (refusal_code(), "\\PC{0,64}", signature());
    prop_oneof![
        signature().prop_map(Outcome::Signed),
        refusal.prop_map(|(code, detail, signature)| {
            Outcome::Refused(Refusal {
                code,
                detail,
                signature,
            })
        }),
    ]
}

pub(crate) fn response() -> impl Strategy<Value = Response> {
    let parts = (address(), statement(), outcome(), 0..=2);
    parts.prop_map(|(operator, statement, outcome, basis)| Response {
        operator,
        outcome,
        basis: match statement.subject() {
            Subject::Chain(_) => ReadBasis::try_from(basis).expect("a basis"),
            Subject::HomeChain => ReadBasis::Unspecified,
        },
        statement,
    })
}

pub(crate) fn certificate() -> impl Strategy<Value = Certificate> {
    let signer = (address(), signature()).prop_map(|(operator, signature)| SignerSignature {
        operator,
        signature,
    });
    (statement(), vec(signer, 1..20)).prop_map(|(s, signers)| Certificate::new(s, signers))
}

pub(crate) fn task() -> impl Strategy<Value = Task> {
    (statement(), 0_u32..4).prop_map(|(statement, attempt)| Task { statement, attempt })
}

pub(crate) fn binding() -> impl Strategy<Value = PeerBinding> {
    let parts = (address(), any::<[u8; 32]>(), any::<u64>(), signature());
    parts.prop_map(|(operator, peer_key, sequence, signature)| PeerBinding {
        operator,
        peer_key,
        sequence,
        signature,
    })
}

pub(crate) fn presence() -> impl Strategy<Value = Presence> {
    let parts = (address(), any::<[u8; 32]>(), any::<u64>(), signature());
    parts.prop_map(|(operator, instance, sequence, signature)| Presence {
        operator,
        instance: instance.into(),
        sequence,
        signature,
    })
}

pub(crate) fn join_request() -> impl Strategy<Value = JoinRequest> {
    let proof = (any::<[u8; 32]>(), signature());
    (binding(), proof, vec("\\PC{0,32}", 0..8)).prop_map(|(binding, proof, addresses)| {
        let (challenge, signature) = proof;
        JoinRequest {
            proof: JoinProof {
                operator: binding.operator,
                peer_key: binding.peer_key,
                challenge: challenge.into(),
                signature,
            },
            binding,
            addresses,
        }
    })
}

/// Of the right form; the signatures are anything.
pub(crate) fn evidence() -> impl Strategy<Value = EquivocationEvidence> {
    let told = (statement(), any::<[u8; 32]>(), any::<u32>());
    let told = told.prop_map(|(first, other, epoch)| {
        let second = match first.clone() {
            Statement::StateProof(proof) => Statement::StateProof(StateProof {
                epoch: Epoch(epoch),
                value: proof.value ^ (U256::from_be_bytes(other) | U256::from(1)),
                ..proof
            }),
            Statement::EpochUpdate(update) => Statement::EpochUpdate(EpochUpdate {
                epoch: Epoch(epoch % update.next_epoch.0),
                set_hash: keccak256([update.set_hash.0, other].concat()),
                ..update
            }),
            Statement::Transfer(transfer) => Statement::Transfer(Transfer {
                epoch: Epoch(epoch),
                sender: keccak256([transfer.sender.0, other].concat()),
                ..transfer
            }),
            Statement::TransferClosed(closed) => Statement::TransferClosed(TransferClosed {
                epoch: Epoch(epoch),
                time: closed.time ^ 1,
                ..closed
            }),
            Statement::BridgePause(pause) => Statement::BridgePause(BridgePause {
                epoch: Epoch(epoch),
                paused: !pause.paused,
                ..pause
            }),
        };
        let told = |statement: Statement| (Attestation::from(&statement), Some(statement));
        [told(first), told(second)]
    });
    let hashes = (any::<[u8; 32]>(), any::<[u8; 32]>());
    let bare = (hashes, any::<u32>(), any::<u32>()).prop_map(|((slot, fact), first, second)| {
        let attestation = |epoch, fact: [u8; 32]| Attestation {
            epoch: Epoch(epoch),
            slot: SlotId(slot.into()),
            fact: fact.into(),
        };
        let other = keccak256(fact).0;
        [attestation(first, fact), attestation(second, other)].map(|signed| (signed, None))
    });
    let pair = prop_oneof![told, bare];
    (address(), pair, signature(), signature()).prop_map(|(operator, [a, b], first, second)| {
        let signed = |(attestation, statement), signature| match statement {
            Some(statement) => SignedAttestation::of(statement, signature),
            None => SignedAttestation::bare(attestation, signature),
        };
        let pair = [signed(a, first), signed(b, second)];
        EquivocationEvidence::new(operator, pair).expect("two facts")
    })
}

/// A batch with entries of one kind.
pub(crate) fn batch() -> impl Strategy<Value = (quorate_proto::Kind, Batch)> {
    let empty = |sequence| Batch {
        sequence,
        ..Batch::default()
    };
    let tasks = (any::<u64>(), vec(task(), 1..5));
    let responses = (any::<u64>(), vec(response(), 1..5));
    let results = (any::<u64>(), vec(certificate(), 1..3));
    let evidence = (any::<u64>(), vec(evidence(), 1..3));
    prop_oneof![
        tasks.prop_map(move |(n, tasks)| Batch { tasks, ..empty(n) }),
        responses.prop_map(move |(n, responses)| Batch {
            responses,
            ..empty(n)
        }),
        results.prop_map(move |(n, results)| Batch {
            results,
            ..empty(n)
        }),
        evidence.prop_map(move |(n, evidence)| Batch {
            evidence,
            ..empty(n)
        }),
    ]
    .prop_map(of_one_topic)
}

/// Those that belong where the first one does.
fn of_one_topic(mut batch: Batch) -> (quorate_proto::Kind, Batch) {
    use quorate_proto::Kind;

    let kind = batch.kinds().next().expect("an entry");
    let fits = |statement: &Statement, usual| statement.topic().unwrap_or(usual) == kind;
    batch.tasks.retain(|task| fits(&task.statement, Kind::Task));
    let responses = &mut batch.responses;
    responses.retain(|response| fits(&response.statement, Kind::Response));
    let results = &mut batch.results;
    results.retain(|certificate| fits(certificate.statement(), Kind::Result));
    (kind, batch)
}

fn status() -> impl Strategy<Value = OperatorStatus> {
    prop_oneof![
        Just(OperatorStatus::WaitingJoin),
        Just(OperatorStatus::WaitingActive),
        Just(OperatorStatus::Active),
        Just(OperatorStatus::Unactive),
        Just(OperatorStatus::Suspended),
    ]
}

fn cause() -> impl Strategy<Value = LifecycleCause> {
    prop_oneof![
        Just(LifecycleCause::Registered),
        Just(LifecycleCause::Joined),
        Just(LifecycleCause::EpochBegan),
        Just(LifecycleCause::BelowMinimum),
        Just(LifecycleCause::Deregistered),
        Just(LifecycleCause::Missed),
        Just(LifecycleCause::Reinstated),
    ]
}

pub(crate) fn member() -> impl Strategy<Value = Member> {
    let binding = (any::<[u8; 32]>(), any::<u64>(), any::<u64>());
    let binding = binding.prop_map(|(peer_key, sequence, at)| Binding {
        peer_key,
        sequence,
        at: Timestamp(at),
    });
    let changes = proptest::collection::btree_map(any::<u32>(), any::<bool>(), 0..4);
    let changes = changes.prop_map(|changes| {
        let change = |(epoch, registered)| RegistrationChange {
            epoch: Epoch(epoch),
            registered,
        };
        changes.into_iter().map(change).collect()
    });
    let log = (any::<u64>(), any::<u32>()).prop_map(|(block, index)| LogPosition { block, index });
    let counts = (any::<u64>(), any::<u32>(), any::<u32>(), any::<u64>());
    let state = (status(), cause(), option::of(binding));
    (address(), state, changes, log, counts).prop_map(
        |(operator, (status, cause, binding), changes, log, counts)| Member {
            operator,
            status,
            cause,
            since: Timestamp(counts.0),
            changes,
            log,
            binding,
            misses: counts.1,
            missed_in: Epoch(counts.2),
            successful_responses: counts.3,
        },
    )
}

pub(crate) fn transition() -> impl Strategy<Value = Transition> {
    let parts = (address(), option::of(status()), status(), cause());
    (parts, "\\PC{0,64}", any::<u64>(), any::<u64>()).prop_map(
        |((operator, from, to, cause), note, at, block)| Transition {
            operator,
            from,
            to,
            cause,
            note,
            at: Timestamp(at),
            block,
        },
    )
}

fn word() -> impl Strategy<Value = Vec<u8>> {
    any::<[u8; 32]>().prop_map(Vec::from)
}

pub(crate) fn request() -> impl Strategy<Value = wire::Request> {
    let at = prop_oneof![
        any::<u64>().prop_map(state_request::At::BlockNumber),
        any::<u64>().prop_map(state_request::At::Timestamp),
    ];
    let state = (any::<u32>(), address(), word(), option::of(at));
    let state = state.prop_map(|(chain_id, user, key, at)| {
        request::Kind::State(wire::StateRequest {
            chain_id,
            user: user.to_vec(),
            key,
            at,
        })
    });
    let certificate =
        word().prop_map(|task_id| request::Kind::Certificate(wire::CertificateQuery { task_id }));
    let operators = Just(request::Kind::Operators(wire::OperatorsQuery {}));
    let update = (any::<u32>(), option::of(any::<u32>()));
    let update = update.prop_map(|(next_epoch, by_epoch)| {
        request::Kind::EpochUpdate(wire::EpochUpdateQuery {
            next_epoch,
            by_epoch,
        })
    });
    let timeline = word().prop_map(|task_id| {
        request::Kind::Timeline(wire::TimelineQuery {
            task_id,
            ..wire::TimelineQuery::default()
        })
    });
    let live = Just(request::Kind::Live(wire::LiveQuery {}));
    let transfer = (word(), any::<u64>(), any::<bool>());
    let transfer = transfer.prop_map(|(route, nonce, follow)| {
        request::Kind::Transfer(wire::TransferQuery {
            route,
            nonce,
            follow,
            ..wire::TransferQuery::default()
        })
    });
    let kind = option::of(prop_oneof![
        state,
        certificate,
        operators,
        update,
        timeline,
        live,
        transfer
    ]);
    (any::<u64>(), kind).prop_map(|(id, kind)| wire::Request { id, kind })
}

fn progress() -> impl Strategy<Value = wire::Progress> {
    let counts = (any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>());
    (word(), counts, word(), word(), word(), word()).prop_map(
        |(task_id, (epoch, signed, refused, attempt), a, b, c, d)| wire::Progress {
            task_id,
            epoch,
            signed,
            refused,
            signed_weight: a,
            refused_weight: b,
            threshold: c,
            total_weight: d,
            attempt,
        },
    )
}

fn request_error() -> impl Strategy<Value = wire::RequestError> {
    let refusal = (address(), refusal_code(), "\\PC{0,16}");
    let refusal = refusal.prop_map(|(operator, code, detail)| wire::RefusalReport {
        operator: operator.to_vec(),
        code: code.into(),
        detail,
    });
    let missing = vec(address().prop_map(|address| address.to_vec()), 0..4);
    let lists = (vec(refusal, 0..4), missing);
    let parts = (
        0..=13,
        "\\PC{0,64}",
        any::<bool>(),
        option::of(progress()),
        lists,
    );
    parts.prop_map(
        |(code, message, retryable, progress, (refusals, missing))| wire::RequestError {
            code,
            message,
            retryable,
            progress,
            refusals,
            missing,
        },
    )
}

fn operator_list() -> impl Strategy<Value = wire::OperatorList> {
    let addresses = vec("/ip4/[0-9.]{7,15}/tcp/[0-9]{1,5}", 0..3);
    let keys = (address(), address(), word());
    let entry = (keys, "[1-9A-HJ-NP-Za-km-z]{0,52}", addresses);
    let entry =
        entry.prop_map(
            |((operator, key, weight), peer_id, addresses)| wire::OperatorEntry {
                operator: operator.to_vec(),
                signing_key: key.to_vec(),
                weight,
                peer_id,
                addresses,
            },
        );
    let parts = (any::<u32>(), word(), vec(entry, 0..4), any::<u64>());
    parts.prop_map(
        |(epoch, total_weight, operators, fixed_at)| wire::OperatorList {
            epoch,
            total_weight,
            operators,
            fixed_at,
        },
    )
}

fn timeline_event() -> impl Strategy<Value = wire::TimelineEvent> {
    let operator = || address().prop_map(|address| address.to_vec());
    let announced = (operator(), any::<u32>()).prop_map(|(operator, attempt)| {
        timeline_event::Kind::Announced(wire::TimelineAnnounced { operator, attempt })
    });
    let answered = (operator(), refusal_code(), "\\PC{0,16}", any::<bool>()).prop_map(
        |(operator, code, detail, late)| {
            timeline_event::Kind::Answered(wire::TimelineAnswered {
                operator,
                refusal: code.into(),
                detail,
                late,
                took_micros: 0,
            })
        },
    );
    let kind = option::of(prop_oneof![announced, answered]);
    (any::<u64>(), kind).prop_map(|(at_micros, kind)| wire::TimelineEvent { at_micros, kind })
}

fn timeline() -> impl Strategy<Value = wire::TimelineReply> {
    let parts = (word(), statement(), "\\PC{0,64}", any::<u32>());
    (parts, vec(timeline_event(), 0..8)).prop_map(|((task_id, statement, failure, cut), events)| {
        wire::TimelineReply {
            task_id,
            statement: Some((&statement).into()),
            failure,
            events,
            cut,
            ..wire::TimelineReply::default()
        }
    })
}

fn live_events() -> impl Strategy<Value = wire::LiveEvents> {
    let event = (word(), timeline_event()).prop_map(|(task_id, event)| wire::LiveEvent {
        task_id,
        event: Some(event),
        statement: None,
    });
    (vec(event, 0..8), any::<u64>())
        .prop_map(|(events, skipped)| wire::LiveEvents { events, skipped })
}

fn transfer_reply() -> impl Strategy<Value = wire::TransferReply> {
    let step = (0..12, any::<u64>());
    let step = step.prop_map(|(stage, at_ms)| wire::TransferStep { stage, at_ms });
    let parts = (
        word(),
        any::<u64>(),
        vec(step, 0..9),
        option::of(certificate()),
    );
    parts.prop_map(|(route, nonce, steps, certificate)| wire::TransferReply {
        route,
        nonce,
        steps,
        certificate: certificate.as_ref().map(Into::into),
        ..wire::TransferReply::default()
    })
}

pub(crate) fn reply() -> impl Strategy<Value = wire::Reply> {
    let data = vec(any::<u8>(), 0..64);
    let bases = vec(0..=2, 0..8);
    let certified = (word(), certificate(), data, word(), any::<bool>(), bases);
    let certified = certified.prop_map(
        |(task_id, certificate, signature_data, digest, stored, read_bases)| {
            wire::CertificateReply {
                task_id,
                certificate: Some((&certificate).into()),
                signature_data,
                digest,
                stored,
                read_bases,
            }
        },
    );
    let update = (operator_list(), option::of(certificate()));
    let update = update.prop_map(|(set, certificate)| wire::EpochUpdateReply {
        set: Some(set),
        certificate: certificate.as_ref().map(Into::into),
    });
    let kind = prop_oneof![
        update.prop_map(reply::Kind::EpochUpdate),
        progress().prop_map(reply::Kind::Progress),
        certified.prop_map(reply::Kind::Certificate),
        request_error().prop_map(reply::Kind::Error),
        operator_list().prop_map(reply::Kind::Operators),
        timeline().prop_map(reply::Kind::Timeline),
        live_events().prop_map(reply::Kind::Live),
        transfer_reply().prop_map(reply::Kind::Transfer),
    ];
    (any::<u64>(), option::of(kind)).prop_map(|(id, kind)| wire::Reply { id, kind })
}
