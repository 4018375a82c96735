//! One transfer, as a user asks for it, look by look.

use std::time::Duration;

use quorate_proto::wire::{TransferQuery, TransferReply, TransferStage};
use quorate_proto::{B256, Epoch, Transfer};
use tokio::time::Instant;

use super::report::{AtTarget, has, settle};
use super::transfer_store::TransferKey;
use super::{Bridge, RouteText};
use crate::NodeError;

/// Between two looks at the target chain.
const LOOK_AT_TARGET: Duration = Duration::from_secs(2);

/// Which transfer is meant.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Number(RouteText, u64),
    /// Source chain and contract, any without, and the transaction.
    Sent(Option<(u64, B256)>, B256),
}

/// Why nothing is told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FollowError {
    #[error("{0}")]
    Malformed(&'static str),
    #[error("{0}; ask another node")]
    NotServed(String),
    #[error("that transaction sent several transfers; ask for one of them: {0}")]
    Several(String),
    #[error(transparent)]
    Node(#[from] NodeError),
}

/// Looks at one transfer, and not too often at its target.
pub(crate) struct Follower {
    bridge: Bridge,
    asked: Asked,
    /// What was last heard of the target.
    said: AtTarget,
    /// When it is asked again.
    next: Instant,
}

impl Follower {
    /// Reads a question.
    ///
    /// # Errors
    /// It is malformed, or about a route that this node does not serve.
    pub(crate) fn new(bridge: &Bridge, query: &TransferQuery) -> Result<Self, FollowError> {
        Ok(Self {
            bridge: bridge.clone(),
            asked: read(bridge, query)?,
            said: AtTarget::Open,
            next: Instant::now(),
        })
    }

    /// What is known in the epoch `now`; without any step where nothing is.
    ///
    /// # Errors
    /// A transaction that sent several; a store that cannot be read.
    pub(crate) async fn look(&mut self, now: Option<Epoch>) -> Result<TransferReply, FollowError> {
        let (text, nonce) = match self.asked {
            Asked::Number(text, nonce) => (text, nonce),
            Asked::Sent(source, transaction) => {
                match self.bridge.sent_by(source, transaction)?.as_slice() {
                    [] => return Ok(TransferReply::default()),
                    [(route, nonce)] => (served(&self.bridge, B256::from(*route))?, *nonce),
                    several => return Err(FollowError::Several(names(several))),
                }
            }
        };
        let mut report = self.bridge.report(&text, nonce, now)?;
        if has(&report, TransferStage::Certified)
            && let Some(transfer) = self.bridge.transfers.get(&text.route, nonce)?
        {
            self.look_at_target(&transfer).await;
            settle(&mut report, self.said);
        }
        Ok(report)
    }

    async fn look_at_target(&mut self, transfer: &Transfer) {
        if self.next > Instant::now() {
            return;
        }
        self.said = self.bridge.at_target(transfer).await.unwrap_or(self.said);
        self.next = Instant::now() + LOOK_AT_TARGET;
    }

    /// Whether nothing more is to be learned here.
    pub(crate) fn is_over(&self, report: &TransferReply) -> bool {
        let ended = [TransferStage::Paid, TransferStage::Closed];
        if ended.iter().any(|stage| has(report, *stage)) {
            return true;
        }
        let route = report.transfer.as_ref().and_then(|t| t.route.as_ref());
        let is_blind = route.is_some_and(|route| !self.bridge.reaches(route.target_chain));
        is_blind && report.delivery.is_none() && has(report, TransferStage::Certified)
    }
}

fn read(bridge: &Bridge, query: &TransferQuery) -> Result<Asked, FollowError> {
    let word =
        |bytes: &[u8], problem| B256::try_from(bytes).map_err(|_| FollowError::Malformed(problem));
    if !query.route.is_empty() {
        let route = word(&query.route, "route must be empty or have 32 bytes")?;
        let text = served(bridge, route)?;
        let problem = "nonce must not be 0: numbers are counted from 1";
        return match query.nonce {
            0 => Err(FollowError::Malformed(problem)),
            nonce => Ok(Asked::Number(text, nonce)),
        };
    }
    let problem = "without route, transaction must have 32 bytes";
    let transaction = word(&query.transaction, problem)?;
    let contract = match query.source_contract.as_slice() {
        [] => None,
        bytes => Some(word(
            bytes,
            "source_contract must be empty or have 32 bytes",
        )?),
    };
    let source = contract.map(|contract| (query.source_chain, contract));
    let begins = |text: &RouteText| {
        let at = (text.route.source_chain, text.route.source_contract);
        source.is_none_or(|source| source == at)
    };
    match bridge.routes().any(begins) {
        true => Ok(Asked::Sent(source, transaction)),
        false => Err(not_served(bridge)),
    }
}

fn served(bridge: &Bridge, route: B256) -> Result<RouteText, FollowError> {
    let text = bridge.route(route).copied();
    text.ok_or_else(|| not_served(bridge))
}

fn not_served(bridge: &Bridge) -> FollowError {
    let routes: Vec<String> = bridge.routes().map(ToString::to_string).collect();
    FollowError::NotServed(match routes.as_slice() {
        [] => "this node serves no bridge".to_owned(),
        routes => format!(
            "that route is not served here, but {}",
            routes.join(" and ")
        ),
    })
}

fn names(several: &[TransferKey]) -> String {
    let named = several.iter().map(|(route, nonce)| {
        let route = B256::from(*route);
        format!("{nonce} of route {route}")
    });
    named.collect::<Vec<String>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::bridge::doubles::{ListedSource, scene, seen, sending, text};

    fn by_number(nonce: u64) -> TransferQuery {
        TransferQuery {
            route: text().route.id().to_vec(),
            nonce,
            ..TransferQuery::default()
        }
    }

    fn by_transaction(hash: B256) -> TransferQuery {
        TransferQuery {
            transaction: hash.to_vec(),
            ..TransferQuery::default()
        }
    }

    #[tokio::test]
    async fn a_question_names_one_transfer_of_a_route_that_is_served() {
        let scene = scene(ListedSource::new(9, &[]));
        for (query, problem) in [
            (TransferQuery::default(), "transaction must have 32 bytes"),
            (by_number(0), "counted from 1"),
            (
                TransferQuery {
                    route: vec![1; 31],
                    ..by_number(1)
                },
                "route must be",
            ),
            (
                TransferQuery {
                    route: vec![1; 32],
                    ..by_number(1)
                },
                "ask another node",
            ),
            (
                TransferQuery {
                    source_chain: 77,
                    source_contract: vec![1; 32],
                    ..by_transaction(sending(1))
                },
                "ask another node",
            ),
        ] {
            let refused = Follower::new(&scene.bridge, &query).map(|_| ());
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains(problem), "{problem}: {refused}");
        }
    }

    #[tokio::test]
    async fn what_is_not_seen_yet_has_no_step_and_goes_on() {
        let scene = scene(ListedSource::new(9, &[]));
        let transfers = &scene.bridge.transfers;
        for query in [by_number(1), by_transaction(sending(1))] {
            let mut follower = Follower::new(&scene.bridge, &query).unwrap();
            let report = follower.look(None).await.unwrap();
            assert!(report.steps.is_empty() && !follower.is_over(&report));
        }
        transfers.record((&[seen(1, 2)], &[]), None).await.unwrap();
        let mut follower = Follower::new(&scene.bridge, &by_transaction(sending(1))).unwrap();
        let report = follower.look(None).await.unwrap();
        assert_eq!((report.nonce, report.steps.len()), (1, 1));
        assert!(!follower.is_over(&report));
    }

    #[tokio::test]
    async fn a_transaction_that_sent_several_is_answered_with_their_numbers() {
        let scene = scene(ListedSource::new(9, &[]));
        let mut second = seen(2, 2);
        second.transaction = sending(1).into();
        let both = [seen(1, 2), second];
        scene
            .bridge
            .transfers
            .record((&both, &[]), None)
            .await
            .unwrap();
        let mut follower = Follower::new(&scene.bridge, &by_transaction(sending(1))).unwrap();
        let several = follower.look(None).await.unwrap_err().to_string();
        assert!(several.contains("1 of route") && several.contains("2 of route"));
    }

    #[test]
    fn it_is_over_once_paid_or_closed_and_not_before() {
        let scene = scene(ListedSource::new(9, &[]));
        let follower = Follower::new(&scene.bridge, &by_number(1)).unwrap();
        for (said, over) in [
            (AtTarget::Open, false),
            (AtTarget::Limited, false),
            (AtTarget::Paid, true),
            (AtTarget::Closed, true),
        ] {
            let mut report = TransferReply::default();
            settle(&mut report, said);
            assert_eq!(follower.is_over(&report), over, "{said:?}");
        }
    }
}
