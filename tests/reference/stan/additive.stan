// Hoffmann et al. (2022), approach 3, with the penalty of Lovelace et al. (2026) for repeated tokens where there is one:
// loss = E + A N^-alpha + B D^-beta + P R^delta (N / U)^kappa, Student-t residuals of its logarithm.
data {
  int<lower=1> n;
  vector<lower=0>[n] N;
  vector<lower=0>[n] D;
  vector<lower=0>[n] U;
  vector<lower=0>[n] loss;
  int<lower=0, upper=1> penalised;
  array[3] vector[2] of_terms;   // E, A, B
  array[2] vector[2] of_powers;  // alpha, beta
  array[penalised ? 3 : 0] vector[2] of_penalty;  // P, delta, kappa
  array[2] real of_nu;
  real of_sigma;
}
transformed data {
  vector[n] log_N = log(N) - mean(log(N));
  vector[n] log_D = log(D) - mean(log(D));
  vector[n] log_U = log(U) - mean(log(U));
  real typical = mean(log(loss));
  vector[n] again;
  vector[n] log_ratio;
  for (i in 1:n) {
    real seen = fmin(D[i], U[i]);
    again[i] = D[i] / seen - 1;
    log_ratio[i] = log(N[i]) - log(seen) - (mean(log(N)) - mean(log(U)));
  }
}
parameters {
  vector[3] log_terms;
  vector[2] log_powers;
  vector[penalised ? 3 : 0] log_penalty;
  real<lower=0> nu;
  real<lower=0> sigma;
}
model {
  vector[n] mu;
  for (k in 1:3) log_terms[k] ~ normal(of_terms[k][1], of_terms[k][2]);
  for (k in 1:2) log_powers[k] ~ normal(of_powers[k][1], of_powers[k][2]);
  if (penalised) for (k in 1:3) log_penalty[k] ~ normal(of_penalty[k][1], of_penalty[k][2]);
  nu ~ gamma(of_nu[1], of_nu[2]);
  sigma ~ normal(0, of_sigma);
  mu = exp(log_terms[1]) + exp(log_terms[2] - exp(log_powers[1]) * log_N) + exp(log_terms[3] - exp(log_powers[2]) * log_D);
  if (penalised) {
    for (i in 1:n) {
      if (again[i] > 0)
        mu[i] += exp(log_penalty[1] + exp(log_penalty[2]) * log(again[i]) + exp(log_penalty[3]) * log_ratio[i]);
    }
  }
  log(loss) ~ student_t(nu, typical + log(mu), sigma);
}
