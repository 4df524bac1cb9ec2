import { EvtError } from '../../core/errors.ts'
import { formatCount } from '../../core/quantity.ts'
import { visible } from '../../core/visible.ts'
import type { Runtime } from '../runtime.ts'

/** What a command is about to change. */
export interface Plan {
  /** `replay`, `undo`: read as "replay 12 dead letters on …". */
  readonly verb: string
  readonly noun: string
  readonly count: number
  /** Where: a URL without its password. */
  readonly target: string
  /** Lines about the whole. */
  readonly facts?: readonly string[]
  /** Of what it is about, one line each; three are shown. */
  readonly samples?: readonly string[]
  /** What cannot be taken back. */
  readonly consequence?: string
  readonly options: ConsentAnswers
  /** Flags that stand on this command line itself. */
  readonly typed: ReadonlySet<string>
}
export interface ConsentAnswers {
  readonly yes: boolean
  readonly dryRun?: boolean
  readonly reason?: string | undefined
  readonly maxAffected?: number | undefined
}

/** What `--yes` alone covers. */
const boundOfYes = 1_000

/**
 * Shows the plan and asks. True: go on. False: it was a dry run, or there is nothing to do. Throws EvtError('refused')
 * when the answer is no, when nobody can be asked, and when a bound or the profile forbids it; EvtError('interrupted')
 * on Ctrl-C.
 */
export async function askConsent(runtime: Runtime, plan: Plan): Promise<boolean> {
  const { output } = runtime
  const sentence = sentenceOf(plan)
  if (plan.options.dryRun || plan.count === 0) {
    const samples = [...(plan.facts ?? []), ...shownSamples(plan)]
    const data = { plan: { verb: plan.verb, noun: plan.noun, count: plan.count, target: plan.target, samples } }
    const dryRun = plan.options.dryRun === true
    const render = () => (dryRun ? renderPlan(runtime, plan) : `nothing to ${plan.verb} on ${plan.target}\n`)
    output.result({ data, meta: { dryRun }, render })
    return false
  }
  refuseWhenReadonly(runtime, sentence)
  refuseAboveBound(plan, sentence)
  // Notices leave at the end of a turn; the plan and the question at once, and would overtake them.
  await output.flush()
  if (runtime.config.profile?.protect) return consentToProtected(runtime, plan, sentence)
  if (plan.options.yes) return true
  showPlan(runtime, plan)
  const question = `${upper(plan.verb)} ${formatCount(plan.count)} ${plan.noun}?`
  if (await answered(runtime, sentence, () => runtime.prompter.confirm(question, '--yes'))) return true
  throw new EvtError('refused', `cannot ${sentence}: the answer was no`)
}

/** The answer; throws EvtError('interrupted') when it was Ctrl-C. */
async function answered({ stdin, terminal }: Runtime, sentence: string, ask: () => Promise<boolean>): Promise<boolean> {
  let interrupted = false
  // While a question is open the terminal sends no signal but the key, and the question ends as if nothing was typed.
  const onKey = (_text: unknown, key?: { readonly ctrl?: boolean; readonly name?: string }) => {
    interrupted ||= key?.ctrl === true && key.name === 'c'
  }
  stdin.on('keypress', onKey)
  const answer = await ask().finally(() => stdin.off('keypress', onKey))
  if (!interrupted) return answer
  terminal.stderr.write('\n')
  throw new EvtError('interrupted', `cannot ${sentence}: interrupted, nothing was done`)
}

/** Throws EvtError('refused') when the profile in use is read-only. */
export function refuseWhenReadonly({ config }: Pick<Runtime, 'config'>, what: string): void {
  if (!config.profile?.readonly) return
  throw new EvtError('refused', `cannot ${what}: profile ${config.profile.name} is readonly`, {
    hint: 'use another --profile, or change it in the configuration',
  })
}

/** What asks nobody is bounded all the same where the line says so. */
export function refuseAboveMaxAffected(plan: Plan): void {
  if (plan.options.maxAffected !== undefined) refuseAboveBound(plan, sentenceOf(plan))
}

function refuseAboveBound({ count, noun, options }: Plan, sentence: string): void {
  const bound = options.maxAffected ?? (options.yes ? boundOfYes : undefined)
  if (bound === undefined || count <= bound) return
  const where =
    options.maxAffected === undefined ? `--yes covers ${formatCount(bound)}` : `--max-affected is ${formatCount(bound)}`
  throw new EvtError('refused', `cannot ${sentence}: that is more than allowed, ${where}`, {
    hint: `narrow the selection, or allow it with --max-affected ${count} (${noun})`,
  })
}

/** Wants the name typed and a reason; without a terminal both stand on the command line itself. */
async function consentToProtected(runtime: Runtime, plan: Plan, sentence: string): Promise<boolean> {
  const { name, byFlag } = runtime.config.profile as NonNullable<Runtime['config']['profile']>
  if (!plan.options.reason) {
    throw new EvtError('refused', `cannot ${sentence}: profile ${name} is protected`, { hint: 'say why with --reason' })
  }
  if (plan.options.yes && plan.typed.has('yes') && byFlag) return true
  showPlan(runtime, plan)
  const question = `${runtime.output.paintNotice(['bold', 'red'], `Profile ${name} is protected.`)} Type its name to go on:`
  const flags = `--yes --profile ${name}`
  if (await answered(runtime, sentence, () => runtime.prompter.confirmByTyping(question, name, flags))) return true
  throw new EvtError('refused', `cannot ${sentence}: the name was not typed`)
}

/** Off a terminal the plan is what the operator reads before they add --yes; a document says it in its error. */
function showPlan(runtime: Runtime, plan: Plan): void {
  if (runtime.output.format === 'text') runtime.terminal.stderr.write(renderPlan(runtime, plan))
}

function renderPlan({ config, output }: Runtime, plan: Plan): string {
  const lines = [`would ${sentenceOf(plan)}${config.profile ? ` (profile ${config.profile.name})` : ''}`]
  const samples = shownSamples(plan)
  for (const line of [...(plan.facts ?? []), ...samples]) lines.push(`  ${visible(line)}`)
  const more = plan.count - samples.length
  if (samples.length > 0 && more > 0) lines.push(`  … and ${formatCount(more)} more`)
  if (plan.consequence && plan.count > 0) lines.push(output.paintNotice('yellow', plan.consequence))
  return `${lines.join('\n')}\n`
}

const shownSamples = ({ samples = [] }: Plan) => samples.slice(0, 3)

const sentenceOf = ({ verb, count, noun, target }: Plan) => `${verb} ${formatCount(count)} ${noun} on ${target}`
const upper = (word: string) => word.charAt(0).toUpperCase() + word.slice(1)
