/** What the monitor takes and what it tells. */

/** A use of a model, as the iframe told of it. */
export interface UsageEvent {
  conversationId: string;
  messageId: string;
  /** Empty where the event names none: the server then knows it by `app`. */
  modelName: string;
  inputTokens: number;
  outputTokens: number;
  totalTokens: number;
  /** As the event said it; absent for now. */
  timestamp?: string | number;
}

/** What the server decided about an event. The server decides, never the page. */
export interface Outcome {
  /**
   * - `accepted`: charged, or recorded until a source on the server confirms it
   *   (`pointsDeducted` says which)
   * - `review`: too large to be charged without an operator's look
   * - `unpaid`: the balance was too small; it is recorded
   * - `refused`: it is no event that counts; `message` says why
   */
  status: 'accepted' | 'review' | 'unpaid' | 'refused';
  pointsDeducted: number;
  consumptionId: string | null;
  message: string;
}

/** The user's points. */
export interface Balance {
  balance: number;
  balanceMicros: number;
  held: number;
  /** What is not set aside for something that is going on. */
  available: number;
}

/**
 * - `stopped`, `starting`, `listening`
 * - `retrying`: the server does not answer; events wait
 * - `signed-out`: nobody is signed in; events wait
 * - `disabled`: the server does not count points in pages; nothing is listened to
 * - `misconfigured`: the options make no sense; `detail` says why
 */
export type MonitorState =
  'stopped' | 'starting' | 'listening' | 'retrying' | 'signed-out' | 'disabled' | 'misconfigured';

/** How the monitor is, and what it has counted since it was made. */
export interface MonitorStatus {
  state: MonitorState;
  /** For people; empty where there is nothing to say. */
  detail: string;
  /** Events that wait for their turn. */
  waiting: number;
  /** Events the server has decided about. */
  reported: number;
  /** Events that had come before. */
  repeated: number;
  /** Messages of other origins or windows. */
  foreign: number;
  /** Messages that say they are usage and are not: negative counts, sums that do not add up. */
  malformed: number;
  /** Events that came while the queue was full, and are lost unless they come again. */
  overflowed: number;
}

export interface MonitorOptions {
  /** The iframe with the chat, or what finds it when it is needed. */
  iframe: HTMLIFrameElement | (() => HTMLIFrameElement | null);
  /** Exactly these origins are believed, such as `https://dify.example.com`. */
  allowedOrigins: readonly string[];
  /** Once for each event, when the server has decided about it. */
  onEvent?: (event: UsageEvent, outcome: Outcome) => void;
  /** At the start, and after each event. */
  onBalance?: (balance: Balance) => void;
  /** When the state changes; when counts change, at most once a second. */
  onStatus?: (status: MonitorStatus) => void;
  /** Where Tallygate is, if not at the page's own origin. */
  baseUrl?: string;
  /** The name of the app in Tallygate; its model counts where an event names none. */
  app?: string;
  /** Used where an event names no model. */
  modelName?: string;
  /** Milliseconds between two reports; 1,000 is the least. */
  spacingMs?: number;
  /** Instead of the browser's own. */
  fetch?: typeof fetch;
}
