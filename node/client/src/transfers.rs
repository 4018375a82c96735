//! What becomes of a bridge's transfers.

use quorate_proto::wire::reply::Kind as ReplyKind;
use quorate_proto::wire::request::Kind as RequestKind;
use quorate_proto::wire::{TransferDelivery, TransferPlace, TransferReply, TransferStage};
use quorate_proto::{
    B256, Certificate, Statement, StatementKind as _, Transfer, U256, WireError, wire,
};

use super::{Client, ClientError, Replies, next, unexpected};
use crate::api::{CertifiedReport, DeliveryReport, PlaceReport, StageLine, TransferReport};

/// Which transfer is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferQuestion {
    /// The one with this number.
    Number {
        /// Hash of the route.
        route: B256,
        /// Its number there, from 1.
        nonce: u64,
    },
    /// The one that this transaction sent.
    Transaction {
        /// The chain, and the bridge there, left-padded where it is an address; any without.
        source: Option<(u64, B256)>,
        /// The transaction.
        hash: B256,
    },
}

/// What a node says of a transfer. Only the certificate shows itself, once it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferNews {
    /// All of it.
    pub report: TransferReport,
    /// With which any account can have it paid.
    pub certificate: Option<Certificate>,
}

/// A transfer that is followed. Dropping it takes the interest back.
pub struct FollowedTransfer {
    replies: Replies,
    question: TransferQuestion,
    is_over: bool,
    /// The stream ends with its last client.
    _client: Client,
}

impl Client {
    /// Asks what is known of a transfer now.
    ///
    /// # Errors
    /// [`ClientError`]; also where it was not seen yet.
    pub async fn transfer(&self, question: TransferQuestion) -> Result<TransferNews, ClientError> {
        let query = RequestKind::Transfer(query_of(question, false));
        match next(&mut self.send(query).await?).await? {
            ReplyKind::Transfer(reply) => read(&reply, question),
            other => Err(unexpected(other)),
        }
    }

    /// Follows a transfer, also one that was not seen yet, until it has ended or the node learns no more.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn follow_transfer(
        &self,
        question: TransferQuestion,
    ) -> Result<FollowedTransfer, ClientError> {
        let query = RequestKind::Transfer(query_of(question, true));
        Ok(FollowedTransfer {
            replies: self.send(query).await?,
            question,
            is_over: false,
            _client: self.clone(),
        })
    }
}

impl FollowedTransfer {
    /// Waits for something to happen; `None` once nothing more will.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn next(&mut self) -> Result<Option<TransferNews>, ClientError> {
        if self.is_over {
            return Ok(None);
        }
        let reply = match next(&mut self.replies).await? {
            ReplyKind::Transfer(reply) => reply,
            other => return Err(unexpected(other)),
        };
        self.is_over = !reply.more;
        read(&reply, self.question).map(Some)
    }
}

fn query_of(question: TransferQuestion, follow: bool) -> wire::TransferQuery {
    match question {
        TransferQuestion::Number { route, nonce } => wire::TransferQuery {
            route: route.to_vec(),
            nonce,
            follow,
            ..wire::TransferQuery::default()
        },
        TransferQuestion::Transaction { source, hash } => wire::TransferQuery {
            source_chain: source.map_or(0, |(chain, _)| chain),
            source_contract: source.map(|(_, at)| at.to_vec()).unwrap_or_default(),
            transaction: hash.to_vec(),
            follow,
            ..wire::TransferQuery::default()
        },
    }
}

fn read(reply: &TransferReply, question: TransferQuestion) -> Result<TransferNews, ClientError> {
    let is_meant = match question {
        TransferQuestion::Number { route, nonce } => {
            reply.route == route.as_slice() && reply.nonce == nonce
        }
        TransferQuestion::Transaction { source, .. } => {
            let route = reply.transfer.as_ref().and_then(|t| t.route.as_ref());
            route.zip(source).is_none_or(|(route, (chain, contract))| {
                route.source_chain == chain && route.source_contract == contract.as_slice()
            })
        }
    };
    match is_meant {
        true => Ok(reply.try_into()?),
        false => Err(ClientError::Malformed("another transfer".into())),
    }
}

impl TryFrom<&TransferReply> for TransferNews {
    type Error = WireError;

    fn try_from(reply: &TransferReply) -> Result<Self, WireError> {
        let transfer = reply
            .transfer
            .as_ref()
            .map(Transfer::try_from)
            .transpose()?;
        if let Some(transfer) = &transfer
            && (transfer.route.id().as_slice() != reply.route || transfer.nonce != reply.nonce)
        {
            return Err(WireError::new("transfer", "is another one"));
        }
        let certificate = reply.certificate.as_ref().map(Certificate::try_from);
        let certificate = certificate.transpose()?;
        if let Some(certificate) = &certificate {
            check(certificate, transfer.as_ref())?;
        }
        let line = |step: &wire::TransferStep| StageLine {
            stage: word_of(step.stage()).to_owned(),
            at_ms: some(step.at_ms),
        };
        let certified = certificate.as_ref();
        let certified = certified.map(|certificate| certified_of(certificate, reply));
        let report = TransferReport {
            route: hash("route", &reply.route)?,
            nonce: reply.nonce,
            transfer: transfer.as_ref().map(Into::into),
            place: reply.place.as_ref().map(place_of).transpose()?,
            stages: reply.steps.iter().map(line).collect(),
            task_id: hash("task_id", &reply.task_id)?,
            certified: certified.transpose()?,
            delivery: reply.delivery.as_ref().map(delivery_of).transpose()?,
        };
        Ok(Self {
            report,
            certificate,
        })
    }
}

/// It is of the transfer that is told.
fn check(certificate: &Certificate, told: Option<&Transfer>) -> Result<(), WireError> {
    let Statement::Transfer(signed) = certificate.statement() else {
        return Err(WireError::new("certificate", "is of no transfer"));
    };
    match told.is_some_and(|told| told.fact() == signed.fact()) {
        true => Ok(()),
        false => Err(WireError::new("certificate", "is of another transfer")),
    }
}

fn certified_of(
    certificate: &Certificate,
    reply: &TransferReply,
) -> Result<CertifiedReport, WireError> {
    let signers = certificate.signatures().iter();
    Ok(CertifiedReport {
        epoch: certificate.statement().epoch().0,
        signers: signers.map(|signer| signer.operator.to_string()).collect(),
        signed_weight: number("signed_weight", &reply.signed_weight)?,
        total_weight: number("total_weight", &reply.total_weight)?,
    })
}

fn place_of(place: &TransferPlace) -> Result<PlaceReport, WireError> {
    Ok(PlaceReport {
        block: place.block_number,
        block_hash: hash("block_hash", &place.block_hash)?.unwrap_or_default(),
        block_time: place.block_time,
        transaction: hash("transaction", &place.transaction)?.unwrap_or_default(),
        log_index: place.log_index,
    })
}

fn delivery_of(delivery: &TransferDelivery) -> Result<DeliveryReport, WireError> {
    Ok(DeliveryReport {
        id: hash("id", &delivery.id)?.unwrap_or_default(),
        failures: delivery.failures,
        spent: number("spent", &delivery.spent)?.unwrap_or_default(),
        next_try_ms: some(delivery.next_try_ms),
        reason: Some(delivery.reason.clone()).filter(|text| !text.is_empty()),
        transaction: hash("transaction", &delivery.transaction)?,
        block: some(delivery.block_number),
        gas_used: some(delivery.gas_used),
        ended_ms: some(delivery.ended_ms),
    })
}

const fn word_of(stage: TransferStage) -> &'static str {
    match stage {
        TransferStage::Unspecified => "unknown",
        TransferStage::Final => "final",
        TransferStage::Announced => "announced",
        TransferStage::Certified => "certified",
        TransferStage::Queued => "queued",
        TransferStage::Sent => "sent",
        TransferStage::Limited => "limited",
        TransferStage::Paid => "paid",
        TransferStage::Closed => "closed",
        TransferStage::DeadLetter => "dead letter",
    }
}

fn some(number: u64) -> Option<u64> {
    (number > 0).then_some(number)
}

fn word(field: &'static str, bytes: &[u8]) -> Result<Option<B256>, WireError> {
    match bytes {
        [] => Ok(None),
        bytes => B256::try_from(bytes)
            .map(Some)
            .map_err(|_| WireError::new(field, "must be empty or have 32 bytes")),
    }
}

fn hash(field: &'static str, bytes: &[u8]) -> Result<Option<String>, WireError> {
    Ok(word(field, bytes)?.map(|word| word.to_string()))
}

fn number(field: &'static str, bytes: &[u8]) -> Result<Option<String>, WireError> {
    let word = word(field, bytes)?;
    Ok(word.map(|word| U256::from_be_bytes(word.0).to_string()))
}

#[cfg(test)]
mod tests {
    use quorate_proto::{Address, Epoch, Route, SecretKey, SignerSignature};

    use super::*;

    fn transfer(epoch: u32, amount: u64) -> Transfer {
        Transfer {
            epoch: Epoch(epoch),
            route: Route {
                source_chain: 1,
                source_contract: B256::repeat_byte(1),
                target_chain: 2,
                target_contract: B256::repeat_byte(2),
            },
            nonce: 7,
            sender: B256::repeat_byte(3),
            receiver: vec![4; 20].into(),
            token: B256::ZERO,
            amount: U256::from(amount),
            deadline: 9,
        }
    }

    fn signed(transfer: Transfer) -> wire::Certificate {
        let key = SecretKey::from_bytes(&[9; 32]).expect("a key");
        let signature = key.sign(B256::ZERO).expect("signed");
        let operator = Address::repeat_byte(1);
        let signer = SignerSignature {
            operator,
            signature,
        };
        (&Certificate::new(Statement::Transfer(transfer), vec![signer])).into()
    }

    fn reply() -> TransferReply {
        TransferReply {
            route: transfer(0, 5).route.id().to_vec(),
            nonce: 7,
            transfer: Some((&transfer(0, 5)).into()),
            steps: vec![wire::TransferStep {
                stage: 77,
                at_ms: 0,
            }],
            certificate: Some(signed(transfer(4, 5))),
            more: true,
            ..TransferReply::default()
        }
    }

    fn asked(nonce: u64) -> TransferQuestion {
        let route = transfer(0, 5).route.id();
        TransferQuestion::Number { route, nonce }
    }

    #[test]
    fn stages_of_later_versions_are_read_past() {
        let news = read(&reply(), asked(7)).expect("read");
        assert_eq!(news.report.stages[0].stage, "unknown");
        assert_eq!(news.report.certified.expect("certified").epoch, 4);
        assert!(news.certificate.is_some());
    }

    #[test]
    fn what_is_of_another_transfer_is_malformed() {
        assert!(read(&reply(), asked(8)).is_err());
        let other_amount = TransferReply {
            certificate: Some(signed(transfer(4, 6))),
            ..reply()
        };
        let other_number = TransferReply {
            nonce: 8,
            ..reply()
        };
        let no_transfer = TransferReply {
            transfer: None,
            ..reply()
        };
        for (told, nonce) in [(other_amount, 7), (other_number, 8), (no_transfer, 7)] {
            assert!(read(&told, asked(nonce)).is_err(), "{told:?}");
        }
    }

    #[test]
    fn a_transaction_at_another_bridge_is_malformed() {
        let at = |chain| TransferQuestion::Transaction {
            source: Some((chain, B256::repeat_byte(1))),
            hash: B256::ZERO,
        };
        assert!(read(&reply(), at(1)).is_ok());
        assert!(read(&reply(), at(2)).is_err());
    }
}
