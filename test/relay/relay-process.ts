// A relay with one sink, in a process of its own that is killed: `RELAY` says which.
import { createRelay } from '../../src/relay/relay.ts'
import { resolveSinks } from '../../src/relay/sink-config.ts'
import { openStore } from '../../src/store/connection.ts'
import { openTransport } from '../../src/transports/registry.ts'

const { url, sink, instance } = JSON.parse(process.env.RELAY ?? '{}')
const store = await openStore(url, { applicationName: 'evt test relay' })
const [config] = resolveSinks([sink])
if (!config) throw new Error('no sink')
const say = (): void => {}
createRelay({
  store,
  instance,
  timings: { standby: 20 },
  sinks: [{ config, open: () => openTransport(config.url) }],
  recorder: { sequenced() {}, leading: (is) => void (is && process.stdout.write('leading\n')) },
  log: { info: say, warn: say, error: say },
}).start()
