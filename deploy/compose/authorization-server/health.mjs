// Exits with 0 if the server answers; NODE_EXTRA_CA_CERTS names the CA of its certificate.
const answer = await fetch(`${process.env.ISSUER}/.well-known/openid-configuration`);
process.exit(answer.ok ? 0 : 1);
