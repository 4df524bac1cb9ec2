import type { ProfileAnswer } from '../../store/profiles.ts'

/** What a `.cpuprofile` holds, as far as it is read here. */
interface CpuProfile {
  readonly nodes: readonly ProfileNode[]
  readonly samples?: readonly number[]
  readonly timeDeltas?: readonly number[]
}

interface ProfileNode {
  readonly id: number
  readonly callFrame: {
    readonly functionName: string
    readonly scriptId: string
    readonly url: string
    /** From 0. */
    readonly lineNumber: number
    readonly columnNumber: number
  }
  readonly children?: readonly number[]
}

export interface ProfileSummary {
  readonly samples: number
  readonly seconds: number
  /** Of the time: not idle. 0..1. */
  readonly busy: number
  /** Of the time: in the handler's function and what it calls itself. Null where the function was not found. */
  readonly inHandler: number | null
  /** Most time of their own first. */
  readonly hottest: readonly { readonly name: string; readonly place: string; readonly share: number }[]
}

const shown = 5

/** Adds a profile up. Throws SyntaxError for text that is none. */
export function readProfile(text: string, place: ProfileAnswer['place']): ProfileSummary {
  const { nodes, samples = [], timeDeltas = [] } = JSON.parse(text) as CpuProfile
  const within = place ? nodesWithin(nodes, place) : undefined
  const own = new Map<number, number>()
  samples.forEach((id, index) => {
    own.set(id, (own.get(id) ?? 0) + Math.max(0, timeDeltas[index] ?? 0))
  })
  const all = [...own.values()].reduce((sum, us) => sum + us, 0)
  const share = (us: number) => (all === 0 ? 0 : us / all)
  const functions = new Map<string, { name: string; place: string; us: number }>()
  let [idle, inHandler] = [0, 0]
  for (const node of nodes) {
    const us = own.get(node.id) ?? 0
    if (within?.has(node.id)) inHandler += us
    if (node.callFrame.functionName === '(idle)') idle += us
    else if (us > 0) {
      const where = placeText(node)
      const key = `${node.callFrame.functionName} ${where}`
      const known = functions.get(key)
      functions.set(key, {
        name: node.callFrame.functionName || '(anonymous)',
        place: where,
        us: us + (known?.us ?? 0),
      })
    }
  }
  return {
    samples: samples.length,
    seconds: all / 1e6,
    busy: 1 - share(idle) - (all === 0 ? 1 : 0),
    inHandler: within ? share(inHandler) : null,
    hottest: [...functions.values()]
      .sort((a, b) => b.us - a.us)
      .slice(0, shown)
      .map(({ name, place: where, us }) => ({ name, place: where, share: share(us) })),
  }
}

/** The calls of the function, and all below them. */
function nodesWithin(
  nodes: readonly ProfileNode[],
  { scriptId, line, column }: NonNullable<ProfileAnswer['place']>,
): ReadonlySet<number> {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const isIt = ({ callFrame }: ProfileNode) =>
    callFrame.scriptId === scriptId && callFrame.lineNumber === line && callFrame.columnNumber === column
  const within = new Set<number>()
  const open = nodes.filter(isIt).map(({ id }) => id)
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (within.has(id)) continue
    within.add(id)
    open.push(...(byId.get(id)?.children ?? []))
  }
  return within
}

const placeText = ({ callFrame: { url, lineNumber } }: ProfileNode): string =>
  url === '' ? '' : `${url.replace(/^file:\/\//, '')}:${lineNumber + 1}`
