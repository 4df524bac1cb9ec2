import { connect } from 'node:net'

/** Protocol header of AMQP 0-9-1; a server that wants it answers with a method frame (type 1), another AMQP with its own header. */
const header = Buffer.from([0x41, 0x4d, 0x51, 0x50, 0, 0, 9, 1])
const withinMs = 1_000

/**
 * Whether the port begins to speak AMQP. Undefined when it says nothing in time: that is for the driver to find out. Needed because the
 * driver takes the first bytes of any answer for a frame's length, and throws where nobody can catch it.
 */
export function greetsAsAmqp(host: string, port: number): Promise<boolean | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    const end = (answer: boolean | undefined) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(withinMs, () => end(undefined))
    socket.on('connect', () => socket.write(header))
    socket.on('data', (bytes: Buffer) => end(bytes[0] === 1 || bytes.toString('latin1', 0, 4) === 'AMQP'))
    socket.on('error', () => end(undefined))
    socket.on('close', () => end(undefined))
  })
}
