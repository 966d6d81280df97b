// A part of the page that has an answer of its own: it waits, fails and recovers by itself.

import type { UseQueryResult } from '@tanstack/react-query';
import { Skeleton } from 'antd';
import type { ReactNode } from 'react';
import { errorOf } from '../../api/errors';
import { ErrorBanner } from '../../ui/ErrorBanner';

interface Props<T> {
  readonly answer: UseQueryResult<T>;
  readonly children: (data: T) => ReactNode;
}

export function Part<T>({ answer, children }: Props<T>) {
  return (
    <>
      {answer.error ? (
        <ErrorBanner error={errorOf(answer.error)} onRetry={() => void answer.refetch()} />
      ) : null}
      {answer.data ? children(answer.data) : null}
      {!answer.data && !answer.error ? <Skeleton active title={false} /> : null}
    </>
  );
}
