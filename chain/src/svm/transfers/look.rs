//! Looking for the transfers of a route that are not known yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use futures::future::try_join_all;
use quorate_proto::StatementKind;

use super::{Followed, SvmTransfers};
use crate::rpc::ProviderError;
use crate::svm::calls::{Signature, SignatureEntry};
use crate::svm::history::{Claim, History, Kept, Point, RunningHash, reached};
use crate::svm::provider::SvmProvider;
use crate::svm::sends::{Sent, Source};
use crate::{BlockRef, ChainError, QueryKind, ReadLog, SeenTransfer};

/// Pages of signatures of one look: a million of transactions that name the route.
const MAX_PAGES: usize = 1_000;

/// Transactions or blocks that are asked for at a time: they share a request where batches are taken.
const AT_A_TIME: usize = 64;

/// Transactions whose slots are asked for in one call: the most that providers take.
const MAX_STATUSES: usize = 256;

/// Where more transfers are missing, a provider is not hurried.
const MANY: u64 = 64;

/// What is looked for in one look.
struct Quest<'a> {
    source: &'a Source,
    from: Point,
    hashes: &'a RunningHash,
    claims: &'a [Claim],
    /// How many transfers enough providers count.
    target: u64,
}

/// A transfer, and the transaction that is said to have made it.
struct Found {
    sent: Sent,
    signature: Signature,
}

impl SvmTransfers {
    /// Adds to `history` what was sent up to `slot`, and maybe more.
    pub(super) async fn extend(
        &self,
        followed: &Followed,
        history: &mut History,
        slot: u64,
        log: &ReadLog,
    ) -> Result<(), ChainError> {
        if history.read_to >= Some(slot) {
            return Ok(());
        }
        let pool = self.client.pool();
        let (source, hashes) = (&followed.source, history.hashes());
        let claims = self.claims(source, slot).await?;
        let quest = &Quest {
            source,
            from: history.end(),
            hashes: &hashes,
            claims: &claims,
            target: reached(pool.rule(), &claims).unwrap_or_default(),
        };
        let missing = quest.target.saturating_sub(quest.from.count);
        let look = |provider| self.look(provider, quest);
        let found = match missing {
            0 => Ok(Vec::new()),
            1..=MANY => pool.first(log, QueryKind::Proof, look).await,
            _ => pool.in_turn(log, QueryKind::Proof, look).await,
        };
        let found = match found {
            Ok(found) => found,
            Err(failures) => {
                // Then it may be what is known that is wrong.
                if pool.all_failed(&failures, |error| {
                    matches!(error, ProviderError::FalseProof(_))
                }) {
                    history.forget();
                }
                return Err(pool.unanswered(Vec::new(), failures));
            }
        };
        history.extend(found);
        self.judge(history, &claims)?;
        history.read_to = Some(slot);
        if claims
            .iter()
            .all(|claim| claim.count <= history.end().count)
        {
            history.floor = slot;
        }
        Ok(())
    }

    /// What each provider says of the route in the state of this slot or a later one.
    async fn claims(&self, source: &Source, slot: u64) -> Result<Vec<Claim>, ChainError> {
        let question = |_, provider| source.state(provider, slot);
        let said = self.client.pool().gather(question).await?.into_iter();
        let claim = |(provider, (count, hash))| Claim {
            provider,
            count,
            hash,
        };
        Ok(said.map(claim).collect())
    }

    /// Names those whose word about the route does not fit what enough stand for.
    fn judge(&self, history: &mut History, claims: &[Claim]) -> Result<(), ChainError> {
        let pool = self.client.pool();
        let hashes = history.hashes();
        let wrong = hashes.contradicting(claims);
        if pool.rule().suffices(&wrong) {
            history.forget();
            let detail = "a quorum says that other transfers were sent than it said before";
            let detail = detail.to_owned();
            return Err(ChainError::Disagreement { detail });
        }
        for provider in wrong.iter().filter_map(|index| pool.neutral().nth(*index)) {
            provider.contradicted("has another running hash of a route than the quorum");
        }
        Ok(())
    }

    /// The transfers that one provider shows and enough stand for.
    async fn look(
        &self,
        provider: &SvmProvider,
        quest: &Quest<'_>,
    ) -> Result<Vec<Kept>, ProviderError> {
        let looked = async {
            let found = self.walk(provider, quest).await?;
            self.check(found, quest).await
        };
        let looked = looked.await;
        provider.as_ref().tried_to_prove(looked.as_ref().err());
        looked
    }

    /// The transfers that a provider shows from the first that is missing on, oldest first.
    async fn walk(
        &self,
        provider: &SvmProvider,
        quest: &Quest<'_>,
    ) -> Result<Vec<Found>, ProviderError> {
        let (from, mut before, mut newest_first) = (quest.from, None, Vec::new());
        let wanted = usize::try_from(quest.target - from.count).unwrap_or(usize::MAX);
        'pages: for page in 0.. {
            if page == MAX_PAGES {
                let what = format!("more than {MAX_PAGES} pages of signatures of a route");
                return Err(ProviderError::Malformed(what));
            }
            let page = provider.signatures(quest.source.peer, before, from.signature);
            let page = page.await?;
            let is_new = |entry: &&SignatureEntry| {
                entry.slot >= from.slot && Some(entry.signature) != from.signature
            };
            let new: Vec<Signature> = page
                .iter()
                .take_while(is_new)
                .filter(|entry| !entry.has_failed())
                .map(|entry| entry.signature)
                .collect();
            for some in new.chunks(AT_A_TIME) {
                let some = some.iter().map(|signature| async move {
                    let sent = self.shown(provider, quest.source, *signature).await?;
                    Ok::<_, ProviderError>((*signature, sent))
                });
                for (signature, sent) in try_join_all(some).await? {
                    let found = sent.iter().rev().cloned();
                    newest_first.extend(found.map(|sent| Found { sent, signature }));
                }
                if newest_first.len() >= wanted {
                    break 'pages;
                }
            }
            before = match page.last() {
                Some(last) if is_new(&last) && Some(last.signature) != before => {
                    Some(last.signature)
                }
                _ => break,
            };
        }
        newest_first.reverse();
        Ok(newest_first)
    }

    /// What a transaction sent, as a provider shows it.
    async fn shown(
        &self,
        provider: &SvmProvider,
        source: &Source,
        signature: Signature,
    ) -> Result<Arc<[Sent]>, ProviderError> {
        let name = Arc::clone(provider.as_ref().name());
        let key = (name, source.peer.0, signature);
        let remembered = || self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sent) = remembered().get(key.clone()) {
            return Ok(sent);
        }
        let transaction = provider.transaction(signature).await?;
        let sent: Arc<[Sent]> = source.sent(provider, &transaction).await?.into();
        remembered().insert(key, Arc::clone(&sent));
        Ok(sent)
    }

    /// As many of them as enough providers stand for.
    async fn check(
        &self,
        found: Vec<Found>,
        quest: &Quest<'_>,
    ) -> Result<Vec<Kept>, ProviderError> {
        let (from, rule) = (quest.from, self.client.pool().rule());
        let mut hashes = RunningHash::from(from.count, from.hash);
        let (mut next, mut by_nonce) = (from.count.saturating_add(1), BTreeMap::new());
        for mut one in found {
            let nonce = &mut one.sent.transfer.nonce;
            // Logs that were cut do not tell it: it is the one after that before.
            if *nonce == 0 {
                *nonce = next;
            }
            next = nonce.saturating_add(1);
            by_nonce.insert(*nonce, one);
        }
        let mut linked = Vec::new();
        for nonce in from.count.saturating_add(1)..=quest.target {
            let Some(one) = by_nonce.remove(&nonce) else {
                break;
            };
            let hash = hashes.add(one.sent.transfer.fact());
            linked.push((one, hash));
        }
        if rule.suffices(&hashes.contradicting(quest.claims)) {
            let what = "its transfers of a route do not have the running hash of the program";
            return Err(ProviderError::FalseProof(what.to_owned()));
        }
        let unknown = |what: String| Err(ProviderError::Unknown(what));
        if (linked.len() as u64) < quest.target - from.count {
            let first = from.count + linked.len() as u64 + 1;
            return unknown(format!(
                "transfer {first} of a route that has {}",
                quest.target
            ));
        }
        // Of what was known before some claims may be.
        let agreed = hashes.agreed(rule, quest.claims);
        let Some(agreed) = agreed.or_else(|| quest.hashes.agreed(rule, quest.claims)) else {
            return unknown("transfers for which enough others stand".to_owned());
        };
        linked.truncate(usize::try_from(agreed.saturating_sub(from.count)).unwrap_or_default());
        let signatures: Vec<Signature> = linked.iter().map(|(one, _)| one.signature).collect();
        let blocks = self.blocks(&signatures, from.slot).await?;
        let kept = linked
            .into_iter()
            .zip(blocks)
            .map(|((one, hash), block)| Kept {
                seen: SeenTransfer {
                    transfer: one.sent.transfer,
                    block,
                    log_index: 0,
                    transaction: one.signature.0.into(),
                },
                hash,
                signature: one.signature,
            });
        Ok(kept.collect())
    }

    /// The blocks of transactions that are in this order, none below `first`, by the word of a quorum.
    async fn blocks(
        &self,
        signatures: &[Signature],
        first: u64,
    ) -> Result<Vec<BlockRef>, ProviderError> {
        let pool = self.client.pool();
        let unknown =
            |what: String| ProviderError::Unknown(format!("what others agree on: {what}"));
        let mut slots = Vec::with_capacity(signatures.len());
        for some in signatures.chunks(MAX_STATUSES) {
            let said = pool.ask_unpinned(|_, provider| SvmProvider::slots(provider, some));
            let said = said
                .await
                .map_err(|none| unknown(ChainError::from(none).to_string()));
            slots.extend(said?);
        }
        if !slots.is_sorted() || slots.first().is_some_and(|slot| *slot < first) {
            let what = "it names other transactions than those that sent a route's transfers";
            return Err(ProviderError::FalseProof(what.to_owned()));
        }
        let distinct: Vec<u64> = BTreeSet::from_iter(slots.iter().copied())
            .into_iter()
            .collect();
        let mut blocks = BTreeMap::new();
        for some in distinct.chunks(AT_A_TIME) {
            let some = some.iter().map(|slot| async move {
                let block = pool.ask(|_, provider| SvmProvider::block(provider, *slot));
                let block = block.await;
                block.map_err(|none| unknown(ChainError::from(none).to_string()))
            });
            let some = try_join_all(some).await?;
            blocks.extend(some.iter().map(|found| (found.block.number, found.block)));
        }
        let of = |slot: &u64| blocks.get(slot).copied();
        let found: Option<Vec<BlockRef>> = slots.iter().map(of).collect();
        found.ok_or_else(|| unknown("no block of a slot".to_owned()))
    }
}
