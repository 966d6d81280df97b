// Asks before something is destroyed, and says what exactly and whether it can be undone.

import { App, Input } from 'antd';
import { type ReactNode, useCallback } from 'react';
import type { Result } from '../api/errors';
import { useTexts } from '../i18n/language';
import { useErrorWords } from './errorWords';
import { partTexts } from './texts';

export interface Question {
  /** What will happen, with the name of what it will happen to. */
  readonly title: string;
  readonly body?: ReactNode;
  /** The button's word: the deed, not «OK». */
  readonly deed: string;
  /** Leave out when it can not be undone; the question then says so. */
  readonly canUndo?: boolean;
  /** False where nothing is taken from anybody; red is for what is. */
  readonly isDanger?: boolean;
  /** Must be typed first, for what would hurt most. */
  readonly typed?: string;
}

/** Resolves to whether it was done; a refusal is shown and the question stays open. */
export function useConfirm(): (
  question: Question,
  act: () => Promise<Result<unknown>>,
) => Promise<boolean> {
  const { modal, message } = App.useApp();
  const wordsOf = useErrorWords();
  const t = useTexts(partTexts);
  return useCallback(
    (question, act) =>
      new Promise((resolve) => {
        let typed = '';
        const danger = question.isDanger ?? true;
        const shown = modal.confirm({
          title: question.title,
          content: (
            <>
              {question.body}
              {question.canUndo ? null : <p>{t.undone}</p>}
              {question.typed ? (
                <Input
                  aria-label={t.typeToConfirm(question.typed)}
                  placeholder={t.typeToConfirm(question.typed)}
                  onChange={(event) => {
                    typed = event.target.value;
                    shown.update({
                      okButtonProps: { danger, disabled: typed !== question.typed },
                    });
                  }}
                />
              ) : null}
            </>
          ),
          okText: question.deed,
          cancelText: t.cancel,
          okButtonProps: { danger, disabled: question.typed !== undefined },
          autoFocusButton: 'cancel',
          onCancel: () => {
            resolve(false);
          },
          onOk: async () => {
            const result = await act();
            if (!result.ok) {
              message.error(wordsOf(result.error) || t.unreachable);
              throw new Error('kept open'); // antd's way to leave the question standing
            }
            resolve(true);
          },
        });
      }),
    [modal, message, t, wordsOf],
  );
}
