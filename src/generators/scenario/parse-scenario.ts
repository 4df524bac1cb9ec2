import { isMap, isPair, isScalar, isSeq, LineCounter, type Node, type ParsedNode, parseDocument } from 'yaml'
import { EvtError, toError } from '../../core/errors.ts'
import type { ScenarioDefinition } from '../../core/scenario.ts'
import { checkShape, type Path } from './check-shape.ts'
import { type PlacedScenario, problemAt } from './place.ts'

/** A scenario as YAML or JSON. Throws EvtError('config') naming file, line and remedy. */
export function parseScenario(text: string, place: string): PlacedScenario {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const [error] = document.errors
  if (error) {
    const { line } = lines.linePos(error.pos[0])
    throw new EvtError('config', `cannot read scenario: ${place}:${line}: ${error.message}`, {
      hint: 'it is YAML: docs/generating.md has an example',
      cause: error,
    })
  }
  const lineOf = (path: Path): number | undefined => {
    const offset = offsetOf(document.contents, path)
    return offset === undefined ? undefined : lines.linePos(offset).line
  }
  return checked(contentOf(document, place), place, lineOf)
}

/** What a module or a text holds, as a scenario. Throws EvtError('config'). */
export function checked(value: unknown, place: string, lineOf?: PlacedScenario['lineOf']): PlacedScenario {
  if (value === null || value === undefined) {
    throw new EvtError('config', `cannot use scenario: ${place}: it is empty`, {
      hint: 'a scenario has a name and steps: docs/generating.md has an example',
    })
  }
  const placed = { definition: value as ScenarioDefinition, place, ...(lineOf ? { lineOf } : {}) }
  const [problem] = checkShape(value)
  if (problem) throw problemAt(placed, problem)
  return placed
}

function contentOf(document: ReturnType<typeof parseDocument>, place: string): unknown {
  try {
    return document.toJS()
  } catch (cause) {
    throw new EvtError('config', `cannot read scenario: ${place}: ${toError(cause).message}`, {
      hint: 'it is YAML: docs/generating.md has an example',
      cause,
    })
  }
}

/** Where the deepest part of `path` starts that is there. */
function offsetOf(root: ParsedNode | null, path: Path): number | undefined {
  let node: Node | null = root
  let offset = root?.range[0]
  for (const part of path) {
    const pair = isMap(node)
      ? node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part))
      : undefined
    const next: unknown = isPair(pair) ? pair.value : isSeq(node) ? node.items[Number(part)] : undefined
    const start = isPair(pair) ? (pair.key as Node) : (next as Node | undefined)
    if (!start?.range) return offset
    offset = start.range[0]
    node = (next ?? null) as Node | null
  }
  return offset
}
