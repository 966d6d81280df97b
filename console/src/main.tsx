// Where the console begins: providers around the router, and nothing before the first paint.

import { QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { RouterProvider } from 'react-router';
import { makeQueryClient } from './api/queries';
import { AuthProvider } from './auth/AuthProvider';
import { facts } from './facts';
import { LanguageProvider } from './i18n/LanguageProvider';
import { makeRouter } from './router';
import './styles.css';
import { bearNonce } from './theme/nonce';
import { ThemeProvider } from './theme/ThemeProvider';

bearNonce(facts.nonce);
const root = document.getElementById('root');
if (!root) throw new Error('the page has no #root');
const cache = makeQueryClient();
const router = makeRouter();

createRoot(root).render(
  <StrictMode>
    <LanguageProvider>
      {(locale) => (
        <ThemeProvider locale={locale}>
          <QueryClientProvider client={cache}>
            <AuthProvider>
              <RouterProvider router={router} />
            </AuthProvider>
          </QueryClientProvider>
        </ThemeProvider>
      )}
    </LanguageProvider>
  </StrictMode>,
);
