'use client';
/**
 * A dialog before a paid call: it shows what the call will cost, lets it happen if there is enough,
 * and otherwise blocks it and says how much is missing.
 */
import { type ReactElement, type ReactNode, useId, useRef } from 'react';
import { type Checked, useBalanceCheck } from './checking.js';
import { BACKDROP, BOX, BUTTON, BUTTONS, FIGURE, FIGURES, MAIN_BUTTON, TITLE } from './look.js';
import { useModal } from './modal.js';
import { LABELS, type Labels, type Locale, preferredLocale } from './words.js';

/** What own content is given: the check, and the two ways on. */
export interface ProtectionState extends Checked {
  /** Calls `onProceed`, if there is enough; else nothing. */
  proceed: () => void;
  cancel: () => void;
}

export interface BalanceProtectionProps {
  modelName: string;
  estimatedInputTokens: number;
  estimatedOutputTokens: number;
  /** The call may be made. At most once for each check. */
  onProceed: () => void;
  onCancel: () => void;
  /** Where points can be had. */
  topUpUrl?: string;
  /** The page's language by default. */
  locale?: Locale;
  /** Other words for some of them. */
  labels?: Partial<Labels>;
  /** Shown above the figures; or a function that makes all of the content itself. */
  children?: ReactNode | ((state: ProtectionState) => ReactNode);
  /** For the dialog's box; with it, no colours of ours are set. */
  className?: string;
}

export function BalanceProtection(props: BalanceProtectionProps): ReactElement {
  const { modelName, estimatedInputTokens, estimatedOutputTokens, children, className } = props;
  const checked = useBalanceCheck(modelName, estimatedInputTokens, estimatedOutputTokens);
  const { proceed, cancel } = useWaysOn(props, checked);
  const box = useRef<HTMLDivElement>(null);
  const onKeyDown = useModal(box, cancel, checked.phase);
  const locale = props.locale ?? preferredLocale();
  const labels = { ...LABELS[locale], ...props.labels };
  const titleId = useId();
  const state: ProtectionState = { ...checked, proceed, cancel };
  return (
    <div style={BACKDROP}>
      <div
        role="dialog"
        aria-modal="true"
        aria-labelledby={titleId}
        tabIndex={-1}
        lang={locale}
        className={className}
        style={className === undefined ? BOX : undefined}
        ref={box}
        onKeyDown={onKeyDown}
      >
        <h2 id={titleId} style={TITLE}>
          {labels.title}
        </h2>
        {typeof children === 'function' ? (
          children(state)
        ) : (
          <>
            {children}
            <Content {...props} locale={locale} words={labels} state={state} />
          </>
        )}
      </div>
    </div>
  );
}

export default BalanceProtection;

/** Two clicks in a row are one call; another check is another chance. */
function useWaysOn(
  { onProceed, onCancel }: BalanceProtectionProps,
  { phase, check }: Checked,
): Pick<ProtectionState, 'proceed' | 'cancel'> {
  const taken = useRef<unknown>(null);
  const proceed = (): void => {
    if (phase !== 'enough' || taken.current === check) return;
    taken.current = check;
    onProceed();
  };
  return { proceed, cancel: onCancel };
}

interface ContentProps extends BalanceProtectionProps {
  locale: Locale;
  words: Labels;
  state: ProtectionState;
}

function Content({ modelName, topUpUrl, locale, words, state }: ContentProps): ReactElement {
  const { phase, error } = state;
  return (
    <>
      <p role="status" style={{ margin: 0 }}>
        {TEXTS[phase](words)}
      </p>
      {error && <p style={{ margin: '0.5rem 0 0', overflowWrap: 'anywhere' }}>{error.message}</p>}
      {state.check && <Figures {...{ modelName, locale, words }} check={state.check} />}
      <div style={BUTTONS}>
        <button type="button" style={BUTTON} onClick={state.cancel}>
          {phase === 'disabled' || phase === 'signed-out' ? words.close : words.cancel}
        </button>
        {(phase === 'short' || phase === 'failed' || phase === 'signed-out') && (
          <button type="button" style={BUTTON} onClick={state.recheck}>
            {words.again}
          </button>
        )}
        {phase === 'short' && topUpUrl !== undefined && (
          <a href={topUpUrl} style={MAIN_BUTTON}>
            {words.topUp}
          </a>
        )}
        {phase === 'enough' && (
          <button type="button" style={MAIN_BUTTON} onClick={state.proceed}>
            {words.proceed}
          </button>
        )}
      </div>
    </>
  );
}

const TEXTS: Record<Checked['phase'], (words: Labels) => string> = {
  checking: (words) => words.checking,
  enough: (words) => words.enough,
  short: (words) => words.short,
  failed: (words) => words.failed,
  disabled: (words) => words.disabled,
  'signed-out': (words) => words.signedOut,
};

interface FiguresProps {
  modelName: string;
  locale: Locale;
  words: Labels;
  check: NonNullable<Checked['check']>;
}

function Figures({ modelName, locale, words, check }: FiguresProps): ReactElement {
  const points = new Intl.NumberFormat(locale, { maximumFractionDigits: 6 });
  const rows: [string, string][] = [
    [words.model, modelName],
    [words.estimated, points.format(check.estimated)],
    [words.balance, points.format(check.balance)],
  ];
  if (!check.canProceed) rows.push([words.shortfall, points.format(check.shortfall)]);
  return (
    <dl style={FIGURES}>
      {rows.map(([name, value]) => (
        <div key={name} style={{ display: 'contents' }}>
          <dt>{name}</dt>
          <dd style={FIGURE}>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
