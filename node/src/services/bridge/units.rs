//! Amounts of native coins, as people write them and as fees are counted.

use quorate_chain::ChainFamily;

/// Decimal places of a coin in the unit of fees: wei, or millionths of a lamport.
const fn places(family: ChainFamily) -> u32 {
    match family {
        ChainFamily::Svm => 15,
        _ => 18,
    }
}

/// Names of units, and their decimal places in the unit of fees.
const fn names(family: ChainFamily) -> &'static [(&'static str, u32)] {
    match family {
        ChainFamily::Svm => &[("sol", 15), ("lamports", 6)],
        _ => &[("ether", 18), ("gwei", 9), ("wei", 0)],
    }
}

/// Reads "0.05 ether", "50000000 gwei", "1.5 sol", "5000000 lamports"; without a unit coins are meant.
///
/// # Errors
/// What is wrong with it, and how it is written.
pub(super) fn amount_of(text: &str, family: ChainFamily) -> Result<u128, String> {
    let names = names(family);
    let units: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
    let wrong = || {
        format!(
            "{text:?} is no amount; write it as 0.05 {}",
            units.join(", or in ")
        )
    };
    let (number, unit) = text
        .trim()
        .split_once(' ')
        .unwrap_or((text.trim(), units[0]));
    let unit = names.iter().find(|(name, _)| *name == unit.trim());
    let (_, places) = unit.ok_or_else(wrong)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let scale = 10_u128.checked_pow(*places).ok_or_else(wrong)?;
    let is_number = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
    let places = usize::try_from(*places).unwrap_or(usize::MAX);
    if whole.is_empty() || !is_number(whole) || !is_number(part) || part.len() > places {
        return Err(wrong());
    }
    let whole: u128 = whole.parse().map_err(|_| wrong())?;
    let part: u128 = format!("{part:0<places$}0").parse().map_err(|_| wrong())?;
    let whole = whole.checked_mul(scale).ok_or_else(wrong)?;
    whole.checked_add(part / 10).ok_or_else(wrong)
}

/// An amount in coins, for people.
pub(super) fn coins_text(amount: u128, family: ChainFamily) -> String {
    let places = places(family);
    let (scale, width) = (10_u128.pow(places), usize::try_from(places).unwrap_or(0));
    let text = format!("{}.{:0width$}", amount / scale, amount % scale);
    let text = text.trim_end_matches('0').trim_end_matches('.').to_owned();
    format!("{text} {}", names(family)[0].0)
}

/// The same as a number, for figures.
pub(super) fn coins(amount: u128, family: ChainFamily) -> f64 {
    let text = coins_text(amount, family);
    let number = text.split(' ').next().unwrap_or_default();
    number.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_shown_in_units() {
        for (text, family, amount, shown) in [
            (
                "0.05",
                ChainFamily::Evm,
                50_000_000_000_000_000,
                "0.05 ether",
            ),
            (
                "3 ether",
                ChainFamily::Evm,
                3_000_000_000_000_000_000,
                "3 ether",
            ),
            (
                "7 gwei",
                ChainFamily::Evm,
                7_000_000_000,
                "0.000000007 ether",
            ),
            ("1 wei", ChainFamily::Evm, 1, "0.000000000000000001 ether"),
            ("0.5 sol", ChainFamily::Svm, 500_000_000_000_000, "0.5 sol"),
            (
                "5000 lamports",
                ChainFamily::Svm,
                5_000_000_000,
                "0.000005 sol",
            ),
        ] {
            assert_eq!(amount_of(text, family), Ok(amount), "{text}");
            assert_eq!(coins_text(amount, family), shown);
        }
        assert!((coins(1_500_000_000_000_000_000, ChainFamily::Evm) - 1.5).abs() < 1e-12);
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", "-1", ".5", "1 sol", "1.5 wei", "1e3", "x ether", "9 e"] {
            let told = amount_of(text, ChainFamily::Evm);
            let problem = told.expect_err(text);
            assert!(problem.contains("0.05 ether"), "{problem}");
        }
        let huge = "9".repeat(60);
        assert!(amount_of(&huge, ChainFamily::Svm).is_err());
    }
}
