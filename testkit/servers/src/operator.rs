//! Who may come onto a NATS that knows its users by tokens that were signed for them.
//!
//! ```text
//!   operator ──signs──▶ account ──signs──▶ user      key pairs, each named by its public key
//!      │                   │                 │
//!   in the settings   in the settings   in a .creds file, with the user's own seed
//! ```
//!
//! A token is `base64({"typ":"JWT","alg":"ed25519-nkey"}).base64(claims).base64(signature)`, in the
//! alphabet for addresses and without padding.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use nkeys::KeyPair;

/// An operator with one account. Its keys are made anew for each.
pub struct Operator {
    operator: KeyPair,
    account: KeyPair,
}

impl Default for Operator {
    fn default() -> Self {
        Self { operator: KeyPair::new_operator(), account: KeyPair::new_account() }
    }
}

impl Operator {
    /// Lines for the settings of a server, by which it takes users of the account and nobody else.
    pub fn settings(&self) -> String {
        let unlimited = r#""subs": -1, "data": -1, "payload": -1"#;
        let limits = format!(
            r#""limits": {{ {unlimited}, "conn": -1, "leaf": -1, "imports": -1, "exports": -1,
                "wildcards": true }}, "type": "account""#
        );
        let operator = signed(&self.operator, &self.operator, r#""type": "operator""#);
        let account = signed(&self.operator, &self.account, &limits);
        let name = self.account.public_key();
        format!("operator: {operator}\nresolver: MEMORY\nresolver_preload: {{ {name}: {account} }}")
    }

    /// A `.creds` file of a new user, who may do everything.
    pub fn creds(&self) -> String {
        let user = KeyPair::new_user();
        let claims =
            r#""pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1, "type": "user""#;
        let token = signed(&self.account, &user, claims);
        let seed = user.seed().expect("a pair that was just made has both keys");
        format!(
            "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        )
    }
}

/// What `issuer` says of `subject`.
fn signed(issuer: &KeyPair, subject: &KeyPair, claims: &str) -> String {
    let (from, about) = (issuer.public_key(), subject.public_key());
    let claims = format!(
        r#"{{"jti": "{about}", "iat": 1700000000, "iss": "{from}", "sub": "{about}", "name": "test",
            "nats": {{ {claims}, "version": 2 }} }}"#
    );
    let encode = |text: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(text);
    // Without spaces: a server knows a token by its first letters.
    let head = encode(br#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
    let said = format!("{head}.{}", encode(claims.as_bytes()));
    let signature = issuer.sign(said.as_bytes()).expect("a pair that was just made has both keys");
    format!("{said}.{}", encode(&signature))
}
