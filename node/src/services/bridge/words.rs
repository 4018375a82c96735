//! How a transfer's delivery is named to people, and read back where they ask for it.

/// Of number `nonce` from this chain.
pub(super) fn of_transfer(nonce: u64, source_chain: u64) -> String {
    format!("transfer {nonce} from chain {source_chain}")
}

/// The number in such a name, also where a part is named; `None` of other deliveries.
pub(super) fn nonce_in(about: &str) -> Option<u64> {
    let (nonce, _) = about.strip_prefix("transfer ")?.split_once(' ')?;
    nonce.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_back_from_its_name() {
        let name = of_transfer(42, 10);
        assert_eq!(nonce_in(&name), Some(42));
        assert_eq!(nonce_in(&format!("{name}, part 1 of 3")), Some(42));
        assert_eq!(nonce_in("operator set of epoch 3 to chain 10"), None);
    }
}
