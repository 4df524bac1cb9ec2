// What `/openapi.json` says of the routes. Nothing is validated or written by these: bodies are checked where events are read.
import { priorities } from '../core/event.ts'

const text = { type: 'string' } as const
const whole = { type: 'integer', minimum: 1 } as const

const newEvent = {
  type: 'object',
  required: ['type', 'data'],
  additionalProperties: false,
  properties: {
    id: { ...text, maxLength: 255, description: 'the idempotency key; made here when absent' },
    type: { ...text, maxLength: 255, description: 'words joined by dots, such as user.created' },
    version: { ...whole, description: 'of the contract; default the latest' },
    source: text,
    time: { ...text, format: 'date-time' },
    subject: { ...text, description: 'the ordering key' },
    sequence: whole,
    tenant: text,
    correlationId: text,
    causationId: text,
    traceparent: text,
    actor: { type: 'object', properties: { userId: text, sessionId: text } },
    priority: { ...text, enum: [...priorities] },
    metadata: { type: 'object', additionalProperties: true },
    data: { description: 'what the contract of the type asks for' },
    checksum: { ...text, pattern: '^[0-9a-f]{64}$' },
    deliverAt: { ...text, format: 'date-time', description: 'held until then' },
  },
} as const

const cloudEvent = {
  type: 'object',
  required: ['specversion', 'id', 'source', 'type'],
  additionalProperties: true,
  properties: {
    specversion: { ...text, enum: ['1.0'] },
    id: text,
    source: text,
    type: text,
    time: { ...text, format: 'date-time' },
    subject: text,
    data: {},
  },
} as const

const outcomes = {
  type: 'object',
  required: ['stored', 'duplicate', 'refused', 'events'],
  properties: {
    stored: { type: 'integer' },
    duplicate: { type: 'integer' },
    refused: { type: 'integer' },
    events: {
      type: 'array',
      description: 'one for each event, in the order of the request',
      items: {
        type: 'object',
        required: ['outcome'],
        properties: {
          id: text,
          outcome: { ...text, enum: ['stored', 'duplicate', 'refused'] },
          code: text,
          reason: text,
          hint: text,
        },
      },
    },
  },
} as const

const problem = {
  type: 'object',
  required: ['status', 'title'],
  properties: { type: text, status: { type: 'integer' }, title: text, hint: text },
} as const

const answer = (description: string, contentType: string, schema: object) => ({
  description,
  content: { [contentType]: { schema } },
})
const counted = (description: string) => answer(description, 'application/json', outcomes)
const wrong = (description: string) => answer(description, 'application/problem+json', problem)
const denied = {
  401: wrong('a token is missing, unknown, expired or revoked'),
  403: wrong('the token may not do this'),
  429: wrong('too many requests: wait as Retry-After says'),
  503: wrong('the store is away, or this process is full or stopping: try again'),
}
const secured = [{ bearer: [] }]
const open: readonly never[] = []

export const documents = {
  publish: {
    summary: 'Publish one event or a list of them',
    description:
      'Answers after the commit. Events of one request are stored or refused one by one; sending again what was stored under ids of its own is a duplicate, and harmless. CloudEvents in binary mode are read from ce- headers.',
    security: secured,
    body: {
      content: {
        'application/json': { schema: { oneOf: [newEvent, { type: 'array', items: newEvent, minItems: 1 }] } },
        'application/cloudevents+json': { schema: cloudEvent },
        'application/cloudevents-batch+json': { schema: { type: 'array', items: cloudEvent, minItems: 1 } },
      },
    },
    response: {
      202: counted('every event is stored, or was before'),
      207: counted('some are refused; events says which and why'),
      400: wrong('the body holds no event'),
      413: wrong('the body, the list or each of its events is too large'),
      415: wrong('no content type that holds events'),
      422: counted('every event is refused'),
      ...denied,
    },
  },
  stream: {
    summary: 'Follow the log as server-sent events',
    description:
      'Each event is a structured CloudEvent whose id is its position; send the last one as Last-Event-ID to go on after it. Sensitive fields are masked. The event gap says what retention has removed, end that the stream ends.',
    security: secured,
    querystring: {
      type: 'object',
      properties: {
        pattern: { type: 'array', items: text, description: "types or patterns; default '*'" },
        where: { ...text, description: 'an expression as of evt tail --where' },
        since: { ...text, description: 'from there on, inclusive: now (default), start, 15m, a time or position:123' },
      },
    },
    headers: { type: 'object', properties: { 'last-event-id': text } },
    response: {
      200: answer('a stream without end', 'text/event-stream', text),
      400: wrong('the query cannot be read'),
      410: wrong('what comes after Last-Event-ID is gone'),
      ...denied,
    },
  },
  health: {
    summary: 'This process lives',
    security: open,
    response: { 200: answer('it does', 'application/json', { type: 'object', properties: { status: text } }) },
  },
  ready: {
    summary: 'This process can do its work',
    security: open,
    response: Object.fromEntries(
      [200, 503].map((status) => [
        status,
        answer(status === 200 ? 'it can' : 'it cannot: reasons', 'application/json', {
          type: 'object',
          properties: { status: text, reasons: { type: 'array', items: text } },
        }),
      ]),
    ),
  },
  stats: {
    summary: 'Counters and mergeable histograms of this process',
    security: secured,
    response: {
      200: answer('as of now', 'application/json', { type: 'object', additionalProperties: true }),
      ...denied,
    },
  },
  metrics: {
    summary: 'The same, and what the store knows, for Prometheus; as lines for InfluxDB where Accept names influx',
    security: secured,
    querystring: {
      type: 'object',
      properties: { format: { type: 'string', enum: ['prometheus', 'influx'] } },
    },
    response: {
      200: answer('its text format', 'text/plain', text),
      ...denied,
    },
  },
} as const
