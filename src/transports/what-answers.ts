import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'

export type Answering = 'PostgreSQL' | 'Redis' | 'RabbitMQ' | 'Kafka' | 'HTTP' | 'TLS'

const withinMs = 900

/**
 * Which protocol a TCP port speaks, for the error of a driver that met another one ("it looks like PostgreSQL"). Asks in several
 * ways at once, over connections of its own, and only what changes nothing. Undefined when nobody listens, when the answer is
 * none of these, and when there is none within a second. Never rejects.
 */
export async function whatAnswers(host: string, port: number): Promise<Answering | undefined> {
  const ended = new AbortController()
  const timer = setTimeout(() => ended.abort(), withinMs)
  const asked = [
    ...questions.map((question) => ask(host, port, question, ended.signal)),
    shakeHands(host, port, ended.signal),
  ]
  try {
    return await firstOf(asked)
  } finally {
    clearTimeout(timer)
    ended.abort()
  }
}

/** The first that is not undefined. */
function firstOf(answers: readonly Promise<Answering | undefined>[]): Promise<Answering | undefined> {
  const found = answers.map((answer) => answer.then((name) => name ?? Promise.reject(new Error('not this one'))))
  return Promise.any(found).catch(() => undefined)
}

/** PostgreSQL's question whether it would encrypt; its answer is one byte. RabbitMQ answers it with the header it wants. */
const sslRequest = Buffer.from('00000008' + '04d2162f', 'hex')
/** Of HTTP; to Redis it is a command that it does not know. */
const head = Buffer.from('HEAD / HTTP/1.0\r\n\r\n')
/** Kafka's ApiVersions 0, which comes before any login: length, key 18, version 0, correlation id, client id (none). */
const correlationId = '65767421'
const apiVersions = Buffer.from(`0000000a00120000${correlationId}ffff`, 'hex')

const questions = [sslRequest, head, apiVersions] as const

/** A greeting that begins with S (SSH) is longer than the one byte of PostgreSQL. */
function recognize(question: Buffer, answer: Buffer): Answering | undefined {
  const text = answer.toString('latin1')
  if (text.startsWith('AMQP')) return 'RabbitMQ'
  if (/^HTTP\/\d/.test(text)) return 'HTTP'
  if (/^-[A-Z]+ /.test(text)) return 'Redis'
  if (question === sslRequest && /^[SN]$/.test(text)) return 'PostgreSQL'
  if (question === apiVersions && answer.toString('hex', 4, 8) === correlationId) return 'Kafka'
  // A TLS alert: it wanted a handshake and got this.
  return answer[0] === 0x15 && answer[1] === 0x03 ? 'TLS' : undefined
}

function ask(host: string, port: number, question: Buffer, signal: AbortSignal): Promise<Answering | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    let answer = Buffer.alloc(0)
    const end = (name?: Answering): void => {
      socket.destroy()
      resolve(name)
    }
    signal.addEventListener('abort', () => end(), { once: true })
    socket.on('connect', () => socket.write(question))
    socket.on('data', (chunk) => {
      answer = Buffer.concat([answer, chunk])
      const name = recognize(question, answer)
      if (name || answer.length > 1_024) end(name)
    })
    socket.on('error', () => end())
    socket.on('close', () => end())
  })
}

/** Whose certificate it is does not matter here: nothing is sent. */
function shakeHands(host: string, port: number, signal: AbortSignal): Promise<Answering | undefined> {
  return new Promise((resolve) => {
    const socket = connectTls({ host, port, rejectUnauthorized: false })
    const end = (name?: Answering): void => {
      socket.destroy()
      resolve(name)
    }
    signal.addEventListener('abort', () => end(), { once: true })
    socket.on('secureConnect', () => end('TLS'))
    socket.on('error', () => end())
    socket.on('close', () => end())
  })
}
