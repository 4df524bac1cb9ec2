import errors from 'kafkajs/src/protocol/error.js'
import { EvtError, type EvtErrorOptions, toError } from '../../core/errors.ts'
import { suggest } from '../../core/suggest.ts'

/** What the broker answered: `type` is Kafka's name of the error. Becomes an EvtError before it leaves this folder. */
export interface BrokerError extends Error {
  readonly type: string
  readonly retriable: boolean
}

export function brokerError(code: number): BrokerError {
  // Newer than kafkajs.
  if (code === 89)
    return Object.assign(new Error('The broker throttles'), { type: 'THROTTLING_QUOTA_EXCEEDED', retriable: true })
  if (code === 100)
    return Object.assign(new Error('The topic was made anew'), { type: 'UNKNOWN_TOPIC_ID', retriable: true })
  return errors.createErrorFromCode(code)
}

export function throwIfFailed(code: number): void {
  if (code !== 0) throw brokerError(code)
}

export function typeOf(error: unknown): string | undefined {
  return error instanceof Error && 'type' in error && typeof error.type === 'string' ? error.type : undefined
}

/** The connection broke or the server does not answer: whether a request was carried out is unknown, and it passes by itself. */
export function isOutage(error: unknown): boolean {
  return error instanceof EvtError && (error.code === 'connect' || error.code === 'timeout') && !permanent.has(error)
}

const permanent = new WeakSet<Error>()

/** Marks an error of connecting that trying again does not mend: a wrong password, another protocol. */
export function lasting(error: EvtError): EvtError {
  permanent.add(error)
  return error
}

function isLasting(error: unknown): boolean {
  return error instanceof EvtError && permanent.has(error)
}

const staleTypes = new Set([
  'UNKNOWN_TOPIC_OR_PARTITION',
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_FOR_PARTITION',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'KAFKA_STORAGE_ERROR',
  'OFFSET_NOT_AVAILABLE',
  'REPLICA_NOT_AVAILABLE',
])

/** What we know of the cluster may be old: ask again where the leader is. */
const isStale = (error: unknown): boolean => staleTypes.has(typeOf(error) ?? '')

const coordinatorTypes = new Set([
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR_FOR_GROUP',
  'GROUP_LOAD_IN_PROGRESS',
])

/** The group's coordinator moved or is starting. */
const isCoordinatorAway = (error: unknown): boolean => coordinatorTypes.has(typeOf(error) ?? '')

/** Whether trying again may help. */
export function passes(error: unknown): boolean {
  if (isLasting(error)) return false
  return isOutage(error) || isStale(error) || isCoordinatorAway(error) || typeOf(error) === 'UNKNOWN_TOPIC_ID'
}

/** What was being done: `publish to orders`, `read orders`. */
export function translate(thrown: unknown, action: string): EvtError {
  if (thrown instanceof EvtError) return thrown
  const cause = toError(thrown)
  const type = typeOf(thrown)
  const known = type === undefined ? undefined : meanings[type]
  if (known !== undefined) {
    const [code, reason, hint] = known
    return new EvtError(code, `cannot ${action}: ${reason}`, hint === undefined ? { cause } : { hint, cause })
  }
  return new EvtError(
    type === undefined ? 'internal' : 'refused',
    `cannot ${action}: ${type === undefined ? '' : `${type}: `}${cause.message}`,
    { cause },
  )
}

const acl = 'an ACL is missing: kafka-acls --add --allow-principal User:… --operation …'

const meanings: Readonly<Record<string, readonly [EvtError['code'], string, string?]>> = {
  TOPIC_AUTHORIZATION_FAILED: ['refused', 'this user has no permission for the topic', acl],
  GROUP_AUTHORIZATION_FAILED: ['refused', 'this user has no permission for the group', acl],
  CLUSTER_AUTHORIZATION_FAILED: ['refused', 'this user has no permission for the cluster', acl],
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: ['refused', 'this user has no permission', acl],
  POLICY_VIOLATION: [
    'refused',
    "it violates the cluster's policy",
    'ask who runs the cluster, or make the topic by hand',
  ],
  INVALID_TOPIC_EXCEPTION: ['usage', 'that is no name for a topic', 'letters, digits, . _ and -, at most 249'],
  INVALID_REPLICATION_FACTOR: ['refused', 'there are too few brokers for its replicas'],
  INVALID_SESSION_TIMEOUT: [
    'refused',
    'the brokers allow no such session',
    '?session=10s, or what lies between their group.min.session.timeout.ms and group.max.session.timeout.ms',
  ],
  INVALID_GROUP_ID: ['usage', 'that is no name for a group'],
  INCONSISTENT_GROUP_PROTOCOL: [
    'refused',
    'members of the group assign partitions in another way',
    'the group belongs to other consumers: give evt a group of its own, or let them use the CooperativeStickyAssignor',
  ],
  GROUP_MAX_SIZE_REACHED: [
    'refused',
    'the group has as many members as the cluster allows',
    'raise group.max.size or run fewer processes',
  ],
  NOT_ENOUGH_REPLICAS: [
    'refused',
    'too few replicas are in sync',
    'start the missing brokers, or lower min.insync.replicas',
  ],
  REQUEST_TIMED_OUT: ['timeout', 'the brokers did not answer in time'],
  UNSUPPORTED_COMPRESSION_TYPE: [
    'unsupported',
    'it is compressed with a codec that this version of the call does not know',
  ],
}

export function unknownTopic(
  topic: string,
  topics: readonly string[],
  action: string,
  options: EvtErrorOptions = {},
): EvtError {
  const near = suggest(topic, topics)
  const hint = near.length > 0 ? `did you mean ${near.join(' or ')}?` : known(topics)
  return new EvtError('usage', `cannot ${action}: there is no topic ${topic}`, { hint, ...options })
}

function known(topics: readonly string[]): string {
  if (topics.length === 0) return 'this user sees no topics at all'
  const more = topics.length > 10 ? `, and ${topics.length - 10} more` : ''
  return `there are ${topics.slice(0, 10).join(', ')}${more}`
}

export function tooLarge(topic: string, size: number, limit: number | undefined): EvtError {
  const bound = limit === undefined ? 'the broker takes less' : `the topic takes ${limit} (max.message.bytes)`
  return new EvtError('too-large', `cannot publish to ${topic}: the message has ${size} bytes, and ${bound}`, {
    hint: `make it smaller, or: kafka-configs --alter --topic ${topic} --add-config max.message.bytes=${size + 1024}`,
  })
}
