// What Redis, the driver and Node say, each as what evt says instead.
import type { ErrorCode } from '../../core/errors.ts'

/** Where a connection goes, as it may be printed: never with a password. */
export interface RedisPlace {
  readonly url: string
  /** `host:port`; the first one of a cluster. */
  readonly host: string
  /** `default` where the URL names none. */
  readonly user: string
}

/** What a failed command was about. */
export interface Failure {
  readonly error: Error
  readonly place: RedisPlace
  /** `XREADGROUP`; empty when the driver does not say. */
  readonly command: string
  /** The key it named first; empty when it named none. */
  readonly key: string
}

export interface Translation {
  readonly code: ErrorCode
  readonly reason: (failure: Failure) => string
  readonly hint: (failure: Failure) => string
  /** It goes away by itself, so whoever runs for long waits and asks again. */
  readonly passes?: true
}

const unreachable = (reason: string): Translation => ({
  code: 'connect',
  reason: ({ place }) => `${reason} (${place.host})`,
  hint: () => 'check that Redis runs there, and host and port in the URL',
  passes: true,
})

/** It answers, and does nothing for now. */
const waiting = (reason: string, hint: string): Translation => ({ ...unreachable(reason), hint: () => hint })

const byItself = 'evt goes on by itself'

const gone: Translation = {
  code: 'connect',
  // In what words the driver says it is nobody's business.
  reason: ({ place }) => `the connection was lost (${place.host})`,
  hint: () => 'Redis was restarted or the network failed; evt reconnects by itself where it runs',
  passes: true,
}

const certificate: Translation = {
  code: 'connect',
  reason: ({ error, place }) => `the certificate of ${place.host} is not trusted: ${error.message}`,
  hint: () => 'name the authority that signed it (NODE_EXTRA_CA_CERTS=ca.pem), or use the host name it was made for',
}

const protocol: Translation = {
  code: 'connect',
  reason: ({ place }) => `what answers at ${place.host} does not speak Redis's protocol`,
  hint: () => 'check the port; rediss:// is Redis with TLS, redis:// without',
}

const password: Translation = {
  code: 'connect',
  reason: ({ place }) => `the server at ${place.host} refuses user ${place.user}: wrong password, or the user is off`,
  hint: () => 'check user and password in the URL (redis://user:password@host), and `ACL LIST` on the server',
}

/** By the code of Node's socket errors. */
const byCode: Readonly<Record<string, Translation>> = {
  ECONNREFUSED: unreachable('connection refused'),
  ENOTFOUND: unreachable('the host is unknown'),
  EAI_AGAIN: unreachable('the host cannot be looked up'),
  ETIMEDOUT: unreachable('no answer'),
  EHOSTUNREACH: unreachable('no route to the host'),
  ENETUNREACH: unreachable('no route to the network'),
  ECONNRESET: gone,
  EPIPE: gone,
  EPROTO: protocol,
  ERR_SSL_WRONG_VERSION_NUMBER: protocol,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: protocol,
  DEPTH_ZERO_SELF_SIGNED_CERT: certificate,
  SELF_SIGNED_CERT_IN_CHAIN: certificate,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: certificate,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: certificate,
  CERT_HAS_EXPIRED: certificate,
  ERR_TLS_CERT_ALTNAME_INVALID: certificate,
}

/** By the first word of Redis's own errors. */
const byPrefix: Readonly<Record<string, Translation>> = {
  WRONGPASS: password,
  NOAUTH: {
    code: 'connect',
    reason: ({ place }) => `the server at ${place.host} wants a password`,
    hint: () => 'write it into the URL: redis://:password@host, or redis://user:password@host',
  },
  NOPERM: {
    code: 'connect',
    reason: (failure) => {
      const { place, key, error } = failure
      const command = refusedCommand(failure)
      const what = /keys|channels/.test(error.message) ? `${command || 'use it'} on ${key || 'this key'}` : command
      return `user ${place.user} may not ${what || 'do this'}`
    },
    hint: (failure) => `grant it on the server: ACL SETUSER ${failure.place.user} ${grantFor(failure)}`,
  },
  WRONGTYPE: {
    code: 'usage',
    reason: ({ key }) => `the key ${key || 'named'} is no stream`,
    hint: ({ key }) => `look at it with TYPE ${key || 'KEY'}; name another stream, or rename that key`,
  },
  OOM: {
    code: 'refused',
    reason: ({ place }) => `${place.host} is at its maxmemory and takes nothing more`,
    hint: () => 'raise maxmemory, or trim what nobody reads any more; what was written before stays',
    passes: true,
  },
  READONLY: {
    code: 'unsupported',
    reason: ({ place }) => `${place.host} is a replica, which takes no writes`,
    hint: () => `use the URL of the master; after a fail-over, ${byItself} when that leads to it`,
    passes: true,
  },
  LOADING: waiting('the server is still loading its data', `INFO persistence says how far it is; then ${byItself}`),
  MASTERDOWN: waiting(
    'the replica has lost its master',
    `see INFO replication; ${byItself} when they are together again`,
  ),
  BUSY: waiting('the server is busy with a script', `SCRIPT KILL ends it, FUNCTION KILL a function; then ${byItself}`),
  TRYAGAIN: waiting('the cluster is moving the slot', `see CLUSTER NODES; ${byItself} when it has moved`),
  UNBLOCKED: waiting('the stream was removed or moved away while it was read', `${byItself} where it is`),
  CLUSTERDOWN: {
    code: 'connect',
    reason: ({ error, place }) => `the cluster at ${place.host} is down: ${error.message}`,
    hint: () => 'see CLUSTER INFO; it answers again when every slot has a master',
    passes: true,
  },
  MISCONF: {
    code: 'refused',
    reason: ({ place }) => `${place.host} cannot save to its disk and takes no writes`,
    hint: () => 'free disk space there; its log says what failed',
    passes: true,
  },
  NOREPLICAS: {
    code: 'refused',
    reason: ({ place }) => `${place.host} has fewer replicas than min-replicas-to-write`,
    hint: () => 'bring a replica back, or lower min-replicas-to-write',
    passes: true,
  },
  MOVED: {
    code: 'usage',
    reason: ({ place }) => `${place.host} is one node of a cluster`,
    hint: () => 'add ?cluster=true to the URL',
  },
  NOGROUP: {
    code: 'conflict',
    reason: ({ error }) => error.message.replace(/^NOGROUP /, '').replace(/ in XREADGROUP.*$/, ''),
    hint: () => 'somebody removed the stream or its group; it is made again',
    passes: true,
  },
}

/** What evt's own lanes take; docs/transports.md says the rest. */
const scriptRights = '+@stream +@hash +@set +@sortedset +@scripting +time +publish'

/** Of errors that have neither code nor a prefix of their own. */
const byMessage: readonly (readonly [RegExp, Translation])[] = [
  [/Unknown RESP type|Protocol error/, protocol],
  [/wrong version number|packet length too long|SSL routines/, protocol],
  [
    /The user executing the script can't/,
    {
      code: 'connect',
      reason: ({ place }) => `user ${place.user} may not do all that a script of evt does`,
      hint: ({ place }) => `grant it on the server: ACL SETUSER ${place.user} ${scriptRights}`,
    },
  ],
  [/timed? ?out|Socket timeout/i, unreachable('no answer')],
  [/Connection is closed|Stream isn't writeable|max retries per request|Socket closed|disconnected before/i, gone],
  [/Failed to refresh slots cache|None of startup nodes/, unreachable('no node of the cluster answers')],
  [
    /Client network socket disconnected before secure TLS/,
    { ...protocol, reason: ({ place }) => `${place.host} does not speak TLS` },
  ],
  [
    /DB index is out of range|SELECT is not allowed in cluster mode/,
    {
      code: 'usage',
      reason: ({ place }) => `${place.host} has no such database`,
      hint: () => 'use a lower number after the slash of the URL; a cluster has database 0 only',
    },
  ],
  [
    /unknown command|syntax error/i,
    {
      code: 'unsupported',
      reason: ({ error, place }) => `${place.host} does not know it: ${error.message.replace(/^ERR /, '')}`,
      hint: () => 'evt needs Redis 7.0 or newer',
    },
  ],
  [
    /Invalid stream ID/i,
    {
      code: 'usage',
      reason: () => 'that is no position of a stream',
      hint: () => 'a position is <ms>-<n>, such as 1763726400000-0',
    },
  ],
]

/** What is known of an error; undefined for what is no business of ours. */
export function translationOf(error: Error): Translation | undefined {
  const code = String((error as { code?: unknown }).code ?? '')
  const prefix = /^(?:ERR )?(-?[A-Z]+)\b/.exec(error.message)?.[1] ?? ''
  const byWord = byCode[code] ?? byPrefix[prefix] ?? byMessage.find(([pattern]) => pattern.test(error.message))?.[1]
  if (byWord !== undefined) return byWord
  // Raised inside a script, Redis 7.0 puts words around it.
  return Object.entries(byPrefix).find(([word]) => error.message.includes(`${word} `))?.[1]
}

function grantFor(failure: Failure): string {
  const { error, key } = failure
  const command = refusedCommand(failure)
  if (/channels/.test(error.message)) return `&${key || '*'}`
  if (/keys/.test(error.message)) return `~${key || '*'}`
  return `+${command.toLowerCase().replace(' ', '|') || '@stream'}`
}

/** Of a script, the server names the command in it that was refused. */
const refusedCommand = ({ error, command }: Failure) =>
  (/^(EVAL|EVALSHA|FCALL)?$/.test(command) && /run the '?(\w+)'? command/.exec(error.message)?.[1]?.toUpperCase()) ||
  command
