//! Authentication as Adobe's media server has it, and Wowza after it (`authmod=adobe`): a refusal of `connect` holds a
//! challenge, and the next connection answers it in a query behind the application's name.
//!
//! There is no specification; this is how Adobe's encoder does it, and FFmpeg after it. The password is not sent:
//! `response = base64(MD5(base64(MD5(user salt password)) opaque nonce))`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

use crate::credentials::Credentials;

/// What a server that refused `connect` asks of the next connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdobeChallenge {
    /// The user name. The next refusal then holds the challenge.
    User,
    /// A response computed from the password.
    Proof {
        /// The `salt` of the refusal, hashed with user name and password.
        salt: String,
        /// The `challenge` of the refusal, hashed into the response where there is no opaque value.
        challenge: String,
        /// The `opaque` value of the refusal: hashed into the response, and sent back with it.
        opaque: Option<String>,
    },
}

impl AdobeChallenge {
    /// Parses the description of a `connect` refusal; `None` if it holds no `authmod=adobe` challenge.
    pub fn of(description: &str) -> Option<AdobeChallenge> {
        if !description.contains("authmod=adobe") {
            return None;
        }
        if description.contains("code=403 need auth") {
            return Some(AdobeChallenge::User);
        }
        let query = description.rsplit_once('?')?.1;
        let field = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(known, _)| *known == name).map(|(_, value)| value.trim().to_owned())
        };
        if field("reason")? != "needauth" {
            return None;
        }
        Some(AdobeChallenge::Proof { salt: field("salt")?, challenge: field("challenge")?, opaque: field("opaque") })
    }

    /// The query to put behind the application's name in the next `connect`. `nonce` is a random client nonce, sent as eight
    /// hexadecimal digits.
    pub fn answer(&self, credentials: &Credentials, nonce: u32) -> String {
        let user = &credentials.user;
        match self {
            AdobeChallenge::User => format!("?authmod=adobe&user={user}"),
            AdobeChallenge::Proof { salt, challenge, opaque } => {
                let hash = |text: String| STANDARD.encode(Md5::digest(text));
                let nonce = format!("{nonce:08x}");
                let password = hash(format!("{user}{salt}{}", credentials.password.reveal()));
                let response = hash(format!("{password}{}{nonce}", opaque.as_ref().unwrap_or(challenge)));
                let opaque = opaque.as_ref().map(|opaque| format!("&opaque={opaque}")).unwrap_or_default();
                format!("?authmod=adobe&user={user}&challenge={nonce}&response={response}{opaque}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_asks_twice() {
        let login = Credentials { user: "cam".to_owned(), password: "secret".into() };
        let first = AdobeChallenge::of("[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ").unwrap();
        assert_eq!((&first, &*first.answer(&login, 7)), (&AdobeChallenge::User, "?authmod=adobe&user=cam"));
        let text = "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&user=cam&salt=Q1w=&challenge=AbC=&opaque=xYz=";
        let second = AdobeChallenge::of(text).unwrap();
        let (salt, challenge, opaque) = ("Q1w=".to_owned(), "AbC=".to_owned(), Some("xYz=".to_owned()));
        assert_eq!(second, AdobeChallenge::Proof { salt, challenge, opaque });
        // By openssl: printf 'camQ1w=secret' | openssl md5 -binary | base64, and once more over all.
        let expected = "?authmod=adobe&user=cam&challenge=0000002a&response=p5LbWHGLX75cf4VZ26emJw==&opaque=xYz=";
        assert_eq!(second.answer(&login, 42), expected);
        for other in ["no", "authmod=llnw code=403 need auth", "[ authmod=adobe ] : ?reason=authfailed&opaque=x"] {
            assert_eq!(AdobeChallenge::of(other), None, "{other}");
        }
    }
}
