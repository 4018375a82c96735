use super::*;

#[test]
fn following_is_no_failure() {
    assert_eq!(outcome_of(true, false), FOLLOWED);
    assert_eq!(outcome_of(false, false), "failed");
    assert_eq!(outcome_of(false, true), "answered");
}
