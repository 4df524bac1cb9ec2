import { renderTable } from '../../output/table.ts'
import type { Token } from '../../store/tokens.ts'
import { defineCommand } from '../command.ts'
import { formatOptions, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'

export default defineCommand({
  name: 'token list',
  section: 'set up',
  summary: 'tokens of HTTP: what each may do, until when, and when it was last used',
  examples: [
    { line: 'evt token list', says: 'also those that are revoked or expired' },
    { line: 'evt token list --json', says: 'for a script' },
  ],
  args: {},
  options: { ...storeOptions, ...formatOptions },
  async run(_input, runtime) {
    return withStore(runtime, { command: 'token list', max: 1 }, async (store) => {
      const { listTokens } = await import('../../store/tokens.ts')
      const now = new Date(runtime.now()).toISOString()
      const tokens = (await listTokens(store)).map((token) => ({ ...token, state: stateOf(token, now) }))
      runtime.output.result({
        data: { tokens },
        meta: { store: store.url },
        render: () => (tokens.length === 0 ? 'there is no token' : renderTable(tokens, columns, runtime.output)),
      })
      return undefined
    })
  },
})

type Row = Token & { readonly state: 'live' | 'expired' | 'revoked' }

function stateOf({ revokedAt, expiresAt }: Token, now: string): Row['state'] {
  if (revokedAt !== null) return 'revoked'
  return expiresAt !== null && expiresAt <= now ? 'expired' : 'live'
}

const shortly = (time: string | null) => time?.slice(0, 19).replace('T', ' ')

const columns = [
  { head: 'NAME', cell: ({ name }: Row) => name },
  { head: 'STATE', cell: ({ state }: Row) => state },
  { head: 'SCOPES', cell: ({ scopes }: Row) => scopes.join(',') },
  { head: 'TYPES', cell: ({ types }: Row) => types.join(' '), grows: true as const },
  { head: 'CREATED', cell: ({ createdAt }: Row) => shortly(createdAt), expendable: 1 },
  { head: 'BY', cell: ({ createdBy }: Row) => createdBy, expendable: 0 },
  { head: 'EXPIRES', cell: ({ expiresAt }: Row) => shortly(expiresAt) ?? 'never' },
  { head: 'LAST USED', cell: ({ usedAt }: Row) => shortly(usedAt) ?? 'never' },
]
