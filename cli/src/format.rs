//! Numbers and times for people. `--json` has the exact ones.

use quorate_proto::U256;

/// Digits after which a weight is shown in units of 10^18, as stake is counted.
const PLAIN_DIGITS: usize = 15;
const UNIT_DIGITS: usize = 18;
const SHOWN_DIGITS: usize = 4;

/// What others wrote, without what would steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    let shown = |letter: char| match letter.is_control() {
        true => char::REPLACEMENT_CHARACTER,
        false => letter,
    };
    text.chars().map(shown).collect()
}

/// The same of a text that may have several lines.
pub(crate) fn printable_lines(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(printable).collect();
    lines.join("\n")
}

/// A weight: groups of three digits, or units of 10^18 with at most four decimals ("32 e18");
/// "≈" where decimals were cut.
pub(crate) fn amount(value: U256) -> String {
    let digits = value.to_string();
    if digits.len() <= PLAIN_DIGITS {
        return grouped(&digits);
    }
    let digits = format!("{digits:0>width$}", width = UNIT_DIGITS + 1);
    let (whole, fraction) = digits.split_at(digits.len() - UNIT_DIGITS);
    let (shown, cut) = fraction.split_at(SHOWN_DIGITS);
    let mark = if cut.bytes().any(|digit| digit != b'0') {
        "≈"
    } else {
        ""
    };
    let shown = shown.trim_end_matches('0');
    let point = if shown.is_empty() { "" } else { "." };
    format!("{mark}{}{point}{shown} e18", grouped(whole))
}

/// As [`amount`], for a decimal text from an API; anything else as it is.
pub(crate) fn amount_text(text: &str) -> String {
    text.parse().map_or_else(|_| text.to_owned(), amount)
}

fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// `part` of `whole` in per cent, one decimal, rounded down so that a miss never looks like a hit.
pub(crate) fn percent(part: U256, whole: U256) -> String {
    if whole.is_zero() {
        return "-".into();
    }
    let scaled = part.saturating_mul(U256::from(1_000)) / whole;
    let tenths: u64 = scaled.try_into().unwrap_or(u64::MAX);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// A duration in the unit that fits it.
pub(crate) fn millis(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.2} ms"),
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        ms if ms < 120_000.0 => format!("{:.2} s", ms / 1_000.0),
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        ms => seconds((ms / 1_000.0) as u64),
    }
}

/// Bytes in the binary unit that fits them.
pub(crate) fn bytes(count: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let fits = units.iter().find(|(_, size)| count >= *size);
    match fits {
        Some((unit, size)) => {
            let tenths = count / (size / 10).max(1);
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{count} B"),
    }
}

/// A span such as an uptime.
pub(crate) fn seconds(total: u64) -> String {
    let (days, hours) = (total / 86_400, total / 3_600 % 24);
    let (minutes, seconds) = (total / 60 % 60, total % 60);
    match total {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{minutes} min {seconds} s"),
        3_600..86_400 => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// Unix milliseconds as a UTC time.
pub(crate) fn time_ms(ms: u64) -> String {
    let text = time(ms / 1_000);
    let date_time = text.trim_end_matches(" UTC");
    format!("{date_time}.{:03} UTC", ms % 1_000)
}

/// Unix seconds as a UTC time.
pub(crate) fn time(seconds: u64) -> String {
    let (year, month, day) = quorate_node::civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// The ends of a long hexadecimal text.
pub(crate) fn short(text: &str) -> String {
    match (text.get(..10), text.get(text.len().saturating_sub(6)..)) {
        (Some(head), Some(tail)) if text.len() > 20 && text.is_ascii() => format!("{head}…{tail}"),
        _ => text.to_owned(),
    }
}

/// "1 operator", "2 operators".
pub(crate) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short_and_honest() {
        for (value, shown) in [
            ("0", "0"),
            ("999", "999"),
            ("1300", "1 300"),
            ("123456789012345", "123 456 789 012 345"),
            ("32000000000000000000", "32 e18"),
            ("1500000000000000000", "1.5 e18"),
            ("5000000000000000", "0.005 e18"),
            ("1234500000000000000000", "1 234.5 e18"),
            ("1000000000000000001", "≈1 e18"),
        ] {
            assert_eq!(amount_text(value), shown);
        }
        assert_eq!(amount_text("unknown"), "unknown");
    }

    #[test]
    fn what_others_wrote_does_not_steer_the_terminal() {
        let hostile = "no\u{1b}[2J\r\u{9b}31m\nset it\u{7}";
        assert_eq!(
            printable(hostile),
            "no\u{fffd}[2J\u{fffd}\u{fffd}31m\u{fffd}set it\u{fffd}"
        );
        assert_eq!(
            printable_lines(hostile),
            "no\u{fffd}[2J\u{fffd}\u{fffd}31m\nset it\u{fffd}"
        );
    }

    #[test]
    fn shares_are_rounded_down() {
        let share = |a: u64, b: u64| percent(U256::from(a), U256::from(b));
        assert_eq!(share(2, 3), "66.6 %");
        assert_eq!(share(3, 3), "100.0 %");
        assert_eq!(share(1, 0), "-");
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, shown) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_700_000_000, "2023-11-14 22:13:20 UTC"),
            (1_735_689_599, "2024-12-31 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(time(seconds), shown);
        }
        assert_eq!(time_ms(1_700_000_000_042), "2023-11-14 22:13:20.042 UTC");
    }

    #[test]
    fn bytes_have_the_unit_that_fits() {
        for (count, shown) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_536, "1.5 KiB"),
            (5 << 30, "5.0 GiB"),
            (93 << 20, "93.0 MiB"),
        ] {
            assert_eq!(bytes(count), shown);
        }
    }

    #[test]
    fn spans_have_the_unit_that_fits() {
        assert_eq!(millis(0.4), "0.40 ms");
        assert_eq!(millis(412.3), "412 ms");
        assert_eq!(millis(3_050.0), "3.05 s");
        assert_eq!(seconds(59), "59 s");
        assert_eq!(seconds(3_599), "59 min 59 s");
        assert_eq!(seconds(90_000), "1 d 1 h");
    }

    #[test]
    fn long_texts_keep_their_ends() {
        assert_eq!(short("0x1234567890abcdef1234567890"), "0x12345678…567890");
        assert_eq!(short("0x1234"), "0x1234");
    }
}
