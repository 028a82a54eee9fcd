//! How much callers may do at once, each and all of them.

use super::{
    keys::{Form, Key},
    value,
};

/// The keys of [`Limits`](crate::gateway::limits::Limits).
pub(super) static KEYS: [Key; 7] = [
    Key {
        name: "calls_per_second",
        flag: "calls-per-second",
        value_name: "COUNT",
        form: Form::Number,
        meaning: "How many calls a second each caller may send. What is more is refused with \
                  RESOURCE_EXHAUSTED and says when to try again; requests on an ExecuteStream \
                  count too, and are taken no faster than that. Health is never limited. 0: any \
                  number.",
        expected: "a whole number from 0 to 1,000,000",
        show: |config| config.limits.calls_per_second.to_string(),
        set: |config, text| {
            config.limits.calls_per_second = value::number(text, 0..=1_000_000)?;
            Ok(())
        },
    },
    Key {
        name: "calls_burst",
        flag: "calls-burst",
        value_name: "COUNT",
        form: Form::Number,
        meaning: "How many calls a caller may send at once after it has rested, where \
                  calls_per_second limits them. 0: those of one second.",
        expected: "a whole number from 0 to 1,000,000",
        show: |config| config.limits.calls_burst.to_string(),
        set: |config, text| {
            config.limits.calls_burst = value::number(text, 0..=1_000_000)?;
            Ok(())
        },
    },
    Key {
        name: "failed_credentials_per_minute",
        flag: "failed-credentials-per-minute",
        value_name: "COUNT",
        form: Form::Number,
        meaning: "How often a minute calls of one address may come with credentials that name nobody. \
                  What is more is refused with RESOURCE_EXHAUSTED instead of UNAUTHENTICATED, says when \
                  to try again, and waits for no keys of an issuer; good credentials open also then. \
                  Addresses count as for max_connections_per_address. 0: any number.",
        expected: "a whole number from 0 to 1,000,000",
        show: |config| config.limits.failed_credentials_per_minute.to_string(),
        set: |config, text| {
            config.limits.failed_credentials_per_minute = value::number(text, 0..=1_000_000)?;
            Ok(())
        },
    },
    Key {
        name: "failed_credentials_burst",
        flag: "failed-credentials-burst",
        value_name: "COUNT",
        form: Form::Number,
        meaning: "How many of them may come at once after a rest, where failed_credentials_per_minute \
                  limits them. 0: those of one minute.",
        expected: "a whole number from 0 to 1,000,000",
        show: |config| config.limits.failed_credentials_burst.to_string(),
        set: |config, text| {
            config.limits.failed_credentials_burst = value::number(text, 0..=1_000_000)?;
            Ok(())
        },
    },
    Key {
        name: "calls_at_once",
        flag: "calls-at-once",
        value_name: "COUNT",
        form: Form::Number,
        meaning: "How many calls each caller may have under way; a stream is one until it ends. \
                  Without authentication all callers are one.",
        expected: "a whole number from 1 to 1,000,000",
        show: |config| config.limits.calls_at_once.to_string(),
        set: |config, text| {
            config.limits.calls_at_once = value::number(text, 1..=1_000_000)?;
            Ok(())
        },
    },
    Key {
        name: "watches_at_once",
        flag: "watches-at-once",
        value_name: "COUNT",
        form: Form::Number,
        meaning: "How many watches each caller may have open. They do not count as calls under \
                  way.",
        expected: "a whole number from 0 to 1,000,000",
        show: |config| config.limits.watches_at_once.to_string(),
        set: |config, text| {
            config.limits.watches_at_once = value::number(text, 0..=1_000_000)?;
            Ok(())
        },
    },
    Key {
        name: "call_seconds",
        flag: "call-seconds",
        value_name: "SECONDS",
        form: Form::Number,
        meaning: "How long a call with one answer may take. A deadline of its own that is shorter \
                  counts; streams have none but their own.",
        expected: "a whole number of seconds from 1 to 3600",
        show: |config| config.limits.call_seconds.to_string(),
        set: |config, text| {
            config.limits.call_seconds = value::number(text, 1..=3_600)?;
            Ok(())
        },
    },
];
