// The gate at the edge: reads what was published, decides, forwards, and reports the use afterwards.

import { judge, seek } from './decide';
import type { Asked, Verdict } from './decide';
import { numberFrom } from './env';
import type { Env } from './env';
import { forward, isLoop } from './forward';
import { Kept, Unavailable } from './kept';
import type { HeaderRules, Route, Token } from './layout';
import { admit, giveBack } from './limits';
import type { Counted, Taken } from './limits';
import { KV_GONE, LOOP, NO_COUNTER, WITHHELD, answerOf, overLimit, refusalOf } from './refusals';
import type { Refusal } from './refusals';
import { keyOf, unseal } from './seal';
import { Reporter } from './usage';

export { LimitCounter } from './limits';

interface Let {
  readonly route: Route;
  readonly forwarded: string;
  readonly token: Token;
  readonly hash: string;
}

interface Keeping {
  readonly kept: Kept;
  readonly reporter: Reporter;
  /** Headers that routes add, by what they were sealed as. */
  readonly opened: Map<string, Record<string, string>>;
}

// Of this isolate, for all its requests: plain data only, never a request's own I/O.
let keeping: Keeping | null = null;

const AGENT_LENGTH_MAX = 128;
const OPENED_MAX = 2_000;
const sleep = (ms: number): Promise<void> => scheduler.wait(ms);

function keepingOf(env: Env): Keeping {
  keeping ??= {
    kept: new Kept(
      numberFrom(env.CACHE_S, 10) * 1000,
      numberFrom(env.STALE_S, 60) * 1000,
      Date.now,
    ),
    reporter: new Reporter((input, init) => fetch(input, init), Date.now, sleep),
    opened: new Map(),
  };
  return keeping;
}

export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    const requestId = crypto.randomUUID();
    const startedMs = Date.now();
    const asked = askedOf(request);
    const passed = await passage(request, env, asked, startedMs).catch(refusalFor);
    if ('status' in passed) return answerOf(passed, requestId);
    const { route, forwarded, hash, rules, taken } = passed;
    const answer = await forward({
      ...{ request, route, rules, forwarded, requestId },
      address: asked.address,
    });
    if (answer.status >= 500 && env.LIMITS !== undefined && taken.length > 0) {
      ctx.waitUntil(giveBack(env.LIMITS, taken).catch(() => undefined));
    }
    tell(env, ctx, {
      token_hash: hash,
      route: route.path,
      timestamp: startedMs,
      ip_address: asked.address,
      user_agent: agentOf(request),
      response_status: answer.status,
      response_time_ms: Math.max(0, Date.now() - startedMs),
      event_id: requestId,
    });
    return answer;
  },
} satisfies ExportedHandler<Env>;

interface Passage extends Let {
  readonly rules: HeaderRules;
  readonly taken: readonly Taken[];
}

/** Everything up to the backend: what is needed to go there, or why not. */
async function passage(
  request: Request,
  env: Env,
  asked: Asked,
  nowMs: number,
): Promise<Passage | Refusal> {
  const entry = await enter(request, env, asked, nowMs);
  if ('status' in entry) return entry;
  if (entry.route.withheld !== '') return WITHHELD;
  const rules = await rulesOf(env, entry.route);
  const taken = await admitted(env, entry, nowMs);
  return 'status' in taken ? taken : { ...entry, rules, taken };
}

/** By route and token alone. */
async function enter(
  request: Request,
  env: Env,
  asked: Asked,
  nowMs: number,
): Promise<Let | Refusal> {
  const { kept } = keepingOf(env);
  const sought = seek(await kept.routes(env.KV), asked);
  if (sought.route !== null && isLoop(request)) return LOOP;
  if (sought.why !== 'token_needed') return refusedBy(sought);
  const hash = await hashOf(sought.secret);
  const token = await kept.token(env.KV, hash);
  const verdict = judge(sought.route, token, asked, nowMs);
  if (verdict.why !== 'ok' || token === null) return refusedBy(verdict);
  return { route: sought.route, forwarded: verdict.forwarded, token, hash };
}

function refusedBy(verdict: Verdict): Refusal {
  if (verdict.why === 'ok') throw new Error('a verdict that lets through is no refusal');
  return refusalOf(verdict.why, verdict.route);
}

function refusalFor(error: unknown): Refusal {
  if (error instanceof Unavailable) return KV_GONE;
  console.error('refused:', error instanceof Error ? error.message : error);
  return WITHHELD;
}

async function admitted(
  env: Env,
  { route, token, hash }: Let,
  nowMs: number,
): Promise<readonly Taken[] | Refusal> {
  const wanted: Counted[] = [
    ...token.limits.map((limit) => ({ limit, name: `${limit.id}` })),
    ...route.limits.map((limit) => ({ limit, name: `${limit.id}` })),
    ...route.token_limits.map((limit) => ({ limit, name: `${limit.id}:${hash}` })),
  ];
  if (wanted.length === 0) return [];
  if (env.LIMITS === undefined) return env.WITHOUT_LIMITS === 'ignore' ? [] : NO_COUNTER;
  try {
    const { taken, over } = await admit(env.LIMITS, wanted, nowMs);
    return over === null ? taken : overLimit(over.limit, over.waitS);
  } catch (error) {
    console.error('limits:', error instanceof Error ? error.message : error);
    return NO_COUNTER;
  }
}

/** The route's rules for its request, with what it adds opened. */
async function rulesOf(env: Env, route: Route): Promise<HeaderRules> {
  const rules = route.request_headers;
  if (rules.sealed === '') return rules;
  const { opened } = keepingOf(env);
  const name = `${route.id} ${rules.sealed}`;
  let add = opened.get(name);
  if (add === undefined) {
    add = await unseal(await keyOf(env.EDGE_SECRET ?? ''), route.id, rules.sealed);
    if (opened.size >= OPENED_MAX) opened.clear();
    opened.set(name, add);
  }
  return { ...rules, add };
}

function tell(env: Env, ctx: ExecutionContext, report: Parameters<Reporter['report']>[0]): void {
  try {
    env.USES?.writeDataPoint({
      indexes: [report.token_hash],
      blobs: [report.route],
      doubles: [report.response_status, report.response_time_ms],
    });
  } catch (error) {
    console.warn('counts:', error); // the answer is worth more than its count
  }
  const backend = env.TOKEN_MANAGER_BACKEND ?? '';
  if (backend === '') return;
  const place = { backend, secret: env.USAGE_SECRET ?? '' };
  const { reporter } = keepingOf(env);
  ctx.waitUntil(reporter.report(report, place, numberFrom(env.BATCH_MS, 1000)));
}

function askedOf(request: Request): Asked {
  const { url, method, headers } = request;
  return {
    method,
    host: headers.get('host') ?? new URL(url).host,
    target: url.slice(url.indexOf('/', url.indexOf('://') + 3)),
    apiKey: headers.get('x-api-key') ?? '',
    authorization: headers.get('authorization') ?? '',
    address: headers.get('cf-connecting-ip') ?? '',
  };
}

/** Cut, and without half a character at its end: the backend takes no such text. */
function agentOf(request: Request): string {
  const agent = request.headers.get('user-agent') ?? '';
  return agent.slice(0, AGENT_LENGTH_MAX).toWellFormed();
}

async function hashOf(secret: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(secret));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
