use super::*;

#[test]
fn ids_are_written_and_read_as_hex() {
    let id = TaskId(B256::repeat_byte(0xab));
    assert_eq!(id.to_string(), format!("0x{}", "ab".repeat(32)));
    assert_eq!(id.to_string().parse(), Ok(id));
    assert_eq!("AB".repeat(32).parse(), Ok(id));
    assert_eq!(TaskId::try_from(&[0xab; 32][..]), Ok(id));
}

#[test]
fn what_is_no_id_says_why() {
    let error = |text: &str| text.parse::<SlotId>().unwrap_err().to_string();
    assert_eq!(error("0xabcd"), "slot must have 32 bytes");
    assert_eq!(error(""), "slot must have 32 bytes");
    assert_eq!(error("0xx"), "slot is not hexadecimal");
}

#[test]
fn epochs_stay_in_range() {
    assert_eq!(Epoch(7).next(), Epoch(8));
    assert_eq!(Epoch(u32::MAX).next(), Epoch(u32::MAX));
    assert_eq!(Epoch(7).previous(), Some(Epoch(6)));
    assert_eq!(Epoch(0).previous(), None);
}

#[test]
fn times_do_not_wrap() {
    let start = Timestamp(1_500);
    assert_eq!(start.plus_millis(3), Timestamp(4_500));
    assert_eq!(start.plus_millis(u64::MAX), Timestamp(u64::MAX));
    assert_eq!(Timestamp(4_500).micros_since(start), 3_000);
    assert_eq!(start.micros_since(Timestamp(4_500)), 0);
    assert_eq!(start.millis(), 1);
}
