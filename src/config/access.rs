//! Who may call: where tokens, certificates and the keys of signed tokens are known from.

use std::path::PathBuf;

use super::{
    Problem,
    keys::{Form, Key},
    value,
};
use crate::access::{
    door,
    jwt::{self, Source},
};

/// How far clocks may be said to be apart: beyond that one is wrong.
const LEEWAY_SECONDS_MAX: u64 = 600;

/// Who may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The file of principals. Without it and `jwt_keys` nobody is asked.
    pub access_file: Option<PathBuf>,
    /// Where the keys of signed tokens are: a path or a URL.
    pub jwt_keys: Option<jwt::Source>,
    /// The authorities that are trusted where keys are fetched.
    pub jwt_keys_ca_file: Option<PathBuf>,
    /// Who signs tokens.
    pub jwt_issuer: String,
    /// For whom tokens are meant.
    pub jwt_audience: String,
    /// How far clocks may be apart.
    pub jwt_leeway_seconds: u64,
    /// The claim with the roles.
    pub jwt_roles_claim: String,
    /// The claim with the plans.
    pub jwt_plans_claim: String,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            access_file: None,
            jwt_keys: None,
            jwt_keys_ca_file: None,
            jwt_issuer: String::new(),
            jwt_audience: String::new(),
            jwt_leeway_seconds: 60,
            jwt_roles_claim: "strata_roles".to_owned(),
            jwt_plans_claim: "strata_plans".to_owned(),
        }
    }
}

impl Access {
    /// Whether callers are asked who they are.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.access_file.is_some() || self.jwt_keys.is_some()
    }

    /// The same for who asks them.
    #[must_use]
    pub fn settings(&self) -> door::Settings {
        door::Settings {
            access_file: self.access_file.clone(),
            jwt: self.jwt_keys.clone().map(|keys| jwt::Settings {
                keys,
                keys_ca_file: self.jwt_keys_ca_file.clone(),
                issuer: self.jwt_issuer.clone(),
                audience: self.jwt_audience.clone(),
                leeway_seconds: self.jwt_leeway_seconds,
                roles_claim: self.jwt_roles_claim.clone(),
                plans_claim: self.jwt_plans_claim.clone(),
            }),
        }
    }

    /// What is missing beside what was given: a token of any issuer, or for anyone, proves nothing.
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        let is_url = matches!(&self.jwt_keys, Some(Source::Url(_)));
        if self.jwt_keys_ca_file.is_some() && !is_url {
            problems.push(Problem {
                origin: "jwt_keys_ca_file".to_owned(),
                wrong: "it is set, and jwt_keys is no URL".to_owned(),
                expected: "jwt_keys with the URL that the authorities vouch for beside it"
                    .to_owned(),
            });
        }
        let Some(keys) = &self.jwt_keys else {
            return;
        };
        for (name, value) in [
            ("jwt_issuer", &self.jwt_issuer),
            ("jwt_audience", &self.jwt_audience),
        ] {
            if value.is_empty() {
                problems.push(Problem {
                    origin: name.to_owned(),
                    wrong: format!("jwt_keys is {keys}, and this is not set"),
                    expected: KEYS
                        .iter()
                        .find(|key| key.name == name)
                        .map_or_else(String::new, |key| key.expected.to_owned()),
                });
            }
        }
    }
}

/// Its keys.
pub(super) static KEYS: [Key; 8] = [
    Key {
        name: "access_file",
        flag: "access-file",
        value_name: "FILE",
        form: Form::Text,
        meaning: "The file that says who may call, by which tokens and client certificates, and what \
                  they may do; docs/access.md describes it, `stratad token` writes it. It is read \
                  again when it changes. Empty, without jwt_keys: nobody is asked, and everybody may \
                  do everything.",
        expected: "nothing, or the path of a file",
        show: |config| value::path_text(config.access.access_file.as_deref()),
        set: |config, text| {
            config.access.access_file = value::path_or_none(text);
            Ok(())
        },
    },
    Key {
        name: "jwt_keys",
        flag: "jwt-keys",
        value_name: "FILE|URL",
        form: Form::Text,
        meaning: "The public keys of those who sign tokens (JWT) for callers: the path of a JWK set, \
                  or its https:// URL. A file is read again when it changes, a URL every ten minutes \
                  and when a token names a key that is not known. Empty: no such tokens.",
        expected: "nothing, the path of a file, or a URL such as https://id.example.org/keys.json",
        show: |config| {
            let keys = config.access.jwt_keys.as_ref();
            keys.map_or_else(String::new, ToString::to_string)
        },
        set: |config, text| {
            config.access.jwt_keys = match text.trim() {
                "" => None,
                text => Some(
                    text.parse()
                        .map_err(|error: jwt::BadSource| error.to_string())?,
                ),
            };
            Ok(())
        },
    },
    Key {
        name: "jwt_keys_ca_file",
        flag: "jwt-keys-ca-file",
        value_name: "FILE",
        form: Form::Text,
        meaning: "The certificate authorities, in PEM, that are trusted at the https:// URL of \
                  jwt_keys, and no others; read again for each fetch. Empty: those of Mozilla's list.",
        expected: "nothing, or the path of a file",
        show: |config| value::path_text(config.access.jwt_keys_ca_file.as_deref()),
        set: |config, text| {
            config.access.jwt_keys_ca_file = value::path_or_none(text);
            Ok(())
        },
    },
    Key {
        name: "jwt_issuer",
        flag: "jwt-issuer",
        value_name: "ISSUER",
        form: Form::Text,
        meaning: "Who signs the tokens: what their claim `iss` must be, to the letter. Needed with \
                  jwt_keys.",
        expected: "the issuer as it stands in the tokens, such as https://id.example.org/",
        show: |config| config.access.jwt_issuer.clone(),
        set: |config, text| {
            text.trim().clone_into(&mut config.access.jwt_issuer);
            Ok(())
        },
    },
    Key {
        name: "jwt_audience",
        flag: "jwt-audience",
        value_name: "AUDIENCE",
        form: Form::Text,
        meaning: "For whom the tokens are meant: what their claim `aud` must be or hold. Needed with \
                  jwt_keys; a name of its own for each daemon, so that a token for another service \
                  does not open this one.",
        expected: "the audience as it stands in the tokens, such as strata",
        show: |config| config.access.jwt_audience.clone(),
        set: |config, text| {
            text.trim().clone_into(&mut config.access.jwt_audience);
            Ok(())
        },
    },
    Key {
        name: "jwt_leeway_seconds",
        flag: "jwt-leeway-seconds",
        value_name: "SECONDS",
        form: Form::Number,
        meaning: "How far the clocks of those who sign tokens and of this machine may be apart: a \
                  token is good so much longer, and so much earlier.",
        expected: "a whole number of seconds from 0 to 600",
        show: |config| config.access.jwt_leeway_seconds.to_string(),
        set: |config, text| {
            config.access.jwt_leeway_seconds = value::number(text, 0..=LEEWAY_SECONDS_MAX)?;
            Ok(())
        },
    },
    Key {
        name: "jwt_roles_claim",
        flag: "jwt-roles-claim",
        value_name: "CLAIM",
        form: Form::Text,
        meaning: "The claim of a token with the caller's roles: a list, or a text with spaces between \
                  them. Names in it that are no roles are passed over. A token without the claim has \
                  the roles that the access file gives to the principal whose name is its `sub`.",
        expected: "the name of a claim, or a path to one such as /realm_access/roles",
        show: |config| config.access.jwt_roles_claim.clone(),
        set: |config, text| {
            config.access.jwt_roles_claim = claim(text)?;
            Ok(())
        },
    },
    Key {
        name: "jwt_plans_claim",
        flag: "jwt-plans-claim",
        value_name: "CLAIM",
        form: Form::Text,
        meaning: "The claim of a token with the plans that those roles are for: patterns, in a list or \
                  in a text with spaces between them. A token without the claim, but with roles, is \
                  for all plans.",
        expected: "the name of a claim, or a path to one such as /strata/plans",
        show: |config| config.access.jwt_plans_claim.clone(),
        set: |config, text| {
            config.access.jwt_plans_claim = claim(text)?;
            Ok(())
        },
    },
];

fn claim(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("the value is empty".to_owned()),
        text => Ok(text.to_owned()),
    }
}
