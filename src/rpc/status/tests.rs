//! What every status of a kind carries, and that the comments in the proto say it.

use super::*;

#[test]
fn every_limit_says_whose_it_is_and_when_to_try_again() {
    let keys_awaited = Rejected::Jwt(Refused::KeysAwaited);
    let refused = [
        (too_fast("ana", 1, RETRY), "principal:ana"),
        (too_many_in_vain(&"::1", 1, RETRY), "address:::1"),
        (too_many_calls("ana", 1), "principal:ana"),
        (too_many_watches("ana", 1), "principal:ana"),
        (overloaded(), "daemon"),
        (of_execute(ExecuteError::QueueFull), "daemon"),
        (of_rejected(&keys_awaited), "daemon"),
    ];
    for (refused, subject) in refused {
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
        let quota = refused.get_details_quota_failure().expect("a QuotaFailure");
        assert_eq!(quota.violations[0].subject, subject);
        let retry = refused.get_details_retry_info().expect("a RetryInfo");
        assert!(retry.retry_delay.is_some_and(|wait| !wait.is_zero()));
    }
}

#[test]
fn each_reason_comes_with_the_code_that_its_comment_in_the_proto_says() {
    let comments = include_str!("../../../proto/strata/v1/errors.proto");
    let mut documented = 0;
    let mut comment = String::new();
    for line in comments.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("// ") {
            comment = if comment.is_empty() {
                text.to_owned()
            } else {
                comment
            };
        } else if let Some((value, _)) = line.split_once(" = ") {
            let reason = ErrorReason::from_str_name(value);
            if let Some(reason) = reason.filter(|reason| *reason != ErrorReason::Unspecified) {
                let said = comment
                    .split('.')
                    .next()
                    .unwrap_or_default()
                    .replace('_', "");
                let sent = format!("{:?}", code(reason)).to_uppercase();
                assert_eq!(said, sent, "{value}");
                documented += 1;
            }
            comment.clear();
        } else {
            comment.clear();
        }
    }
    let reasons = (1..).map_while(|number| ErrorReason::try_from(number).ok());
    assert_eq!(documented, reasons.count());
}
