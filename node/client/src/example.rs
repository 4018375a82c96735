use quorate_proto::{Address, U256};

use super::{Answer, At, Client, ClientError, StateQuestion};

/// Asks the operator at `address` which value a key had at a block.
async fn ask(address: &str) -> Result<Answer, Box<dyn std::error::Error>> {
    let client = Client::connect(&address.parse()?, None).await?;
    let question = StateQuestion {
        chain_id: 31338,
        user: Address::ZERO,
        key: U256::from(1),
        at: At::Block(12),
    };
    let answer = client.request_state(&question, |progress| println!("{progress:?}"));
    Ok(answer.await?)
}

#[tokio::test]
async fn an_address_where_nothing_listens_is_unreachable() {
    let error = ask("/ip4/127.0.0.1/tcp/1").await.expect_err("no operator");
    let error = error.downcast_ref::<ClientError>();
    assert!(
        matches!(error, Some(ClientError::Unreachable { .. })),
        "{error:?}"
    );
}
