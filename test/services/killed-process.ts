// Services in a bridge of a process of its own, which `killed.test.ts` kills: `node killed-process.ts <URL>`.
import { createBridge } from '../../src/index.ts'
import { commerce } from '../../src/services/commerce/service.ts'
import { platform } from '../../src/services/platform/service.ts'
import { requests } from '../../src/services/requests/service.ts'

// Who is known by its name need not wait for the lease of the killed one.
const bridge = createBridge({
  store: process.argv[2] ?? '',
  instance: 'killed',
  services: [commerce, platform, requests],
})
await bridge.start()
process.stdout.write('up')
