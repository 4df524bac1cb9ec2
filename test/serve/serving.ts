// A bridge that serves, in a process of its own: to be killed.
import { createBridge } from '../../src/index.ts'
import { registry } from './contracts.ts'

const [, , store = ''] = process.argv
const bridge = createBridge({ store, registry, roles: ['relay', 'http'], http: { port: 0 } })
await bridge.start()
process.send?.({ url: bridge.httpUrl })
