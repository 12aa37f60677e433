// Kaplan et al. (2020), equations (1.1) to (1.3): loss = term (x / x0)^-power, Student-t residuals of its logarithm.
data {
  int<lower=1> n;
  vector<lower=0>[n] x;
  vector<lower=0>[n] loss;
  array[2] real of_term;
  array[2] real of_power;
  array[2] real of_nu;
  real of_sigma;
}
transformed data {
  vector[n] log_x = log(x) - mean(log(x));
  real typical = mean(log(loss));
}
parameters {
  real log_term;
  real log_power;
  real<lower=0> nu;
  real<lower=0> sigma;
}
model {
  log_term ~ normal(of_term[1], of_term[2]);
  log_power ~ normal(of_power[1], of_power[2]);
  nu ~ gamma(of_nu[1], of_nu[2]);
  sigma ~ normal(0, of_sigma);
  log(loss) ~ student_t(nu, typical + log_term - exp(log_power) * log_x, sigma);
}
