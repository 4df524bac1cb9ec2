import { EvtError } from '../../core/errors.ts'
import { argument, defineCommand } from '../command.ts'
import { askConsent } from '../line/consent.ts'
import { auditAs } from '../line/operator.ts'
import { consentOptions, dryRunOptions, formatOptions, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'

const { yes, reason } = consentOptions

export default defineCommand({
  name: 'token revoke',
  section: 'set up',
  summary: 'take a token away; every bridge notices within a second',
  description: 'Streams that it opened end. It stays in the list, and its name is free for another one.',
  examples: [
    { line: 'evt token create --scope read --name visitor', says: 'first there is one' },
    { line: 'evt token revoke visitor --yes', says: 'now it opens nothing' },
  ],
  args: { name: argument({ says: 'from `evt token list`' }) },
  options: { ...dryRunOptions, yes, reason, ...storeOptions, ...formatOptions },
  async run({ args: { name }, options, typed }, runtime) {
    return withStore(runtime, { command: 'token revoke', max: 1 }, async (store) => {
      const { listTokens, revokeToken } = await import('../../store/tokens.ts')
      const found = (await listTokens(store)).find((token) => token.name === name && token.revokedAt === null)
      if (!found) throw noSuch(name, store.url)
      const samples = [`${name}: ${found.scopes.join(', ')}; last used ${found.usedAt ?? 'never'}`]
      const plan = { verb: 'revoke', noun: `token (${name})`, count: 1, target: store.url, samples }
      if (!(await askConsent(runtime, { ...plan, options, typed }))) return undefined
      const audit = await auditAs('token revoke', { target: name, reason: options.reason })
      if (!(await revokeToken(store, name, audit))) throw noSuch(name, store.url)
      runtime.output.result({
        data: { name, revoked: true },
        meta: { store: store.url },
        render: () => `token ${name} on ${store.url} is revoked`,
      })
      return undefined
    })
  },
})

const noSuch = (name: string, url: string) =>
  new EvtError('usage', `cannot revoke token ${name}: there is none on ${url} that still opens something`, {
    hint: 'see `evt token list`',
  })
