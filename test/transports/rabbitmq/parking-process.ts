// Moves what lies in a queue to the one beside it, until it is killed: node parking-process.ts URL QUEUE
import { openRabbit } from '../../../src/transports/rabbitmq/index.ts'

const [, , url = '', queue = ''] = process.argv
const transport = await openRabbit(url)
await transport.deadLetters?.moveBeside?.(queue, new AbortController().signal)
await transport.close()
